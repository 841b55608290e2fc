"""POST /jobs/<pk>/describe/: name, note and tags."""

from __future__ import annotations

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from tests.people import make_job, signed_in
from tests.worker.driving import text_of


def test_name_note_and_tags(alice: User, bob: User, charlie: User) -> None:
    job = make_job(alice, State.READY)
    data = {"name": "Night, second try", "note_text": "better moons", "tags": "client a, moons ,client a"}
    for stranger in (bob, charlie):
        assert signed_in(stranger).post(f"/jobs/{job.pk}/describe/", data).status_code == 403
    client = signed_in(alice)
    client.post(f"/jobs/{job.pk}/describe/", data)
    job.refresh_from_db()
    assert (job.name, job.note, job.tags) == ("Night, second try", "better moons", "client a, moons")
    assert "better moons" in text_of(client, f"/jobs/{job.pk}/")
    assert "Night, second try" in text_of(client, "/?tag=moons")
    refused = client.post(f"/jobs/{job.pk}/describe/", {**data, "name": ""}, follow=True)
    assert "Enter a name for the job" in refused.content.decode()


def test_a_long_prompt_and_a_long_note_are_clamped(alice: User) -> None:
    short = make_job(alice, State.READY, instance_prompt="night", note="moons")
    long = make_job(alice, State.READY, instance_prompt="night " * 160, note="moons\n" * 100)
    client = signed_in(alice)
    assert "long-text" not in text_of(client, f"/jobs/{short.pk}/")
    for url in (f"/jobs/{long.pk}/", f"/jobs/compare/?job={long.pk}&job={short.pk}"):
        assert text_of(client, url).count('<details class="long-text">') == 2
