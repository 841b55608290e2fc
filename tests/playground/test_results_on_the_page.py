"""What the page of a ready job begins with: results beside their inputs, and the file of the model."""

from __future__ import annotations

import re

from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, Training
from finetune_portal.playground.models import Generation
from tests.people import HTMX, make_generation, make_job, make_samples, signed_in
from tests.playground.conftest import ordered, run_task
from tests.worker.driving import text_of

FIRST = "Make the first picture"


def results_of(viewer: User, job: Job) -> str:
    """The section, without its spaces; empty where the page has none."""
    html = text_of(signed_in(viewer), f"/jobs/{job.pk}/")
    section = re.search(r'<section id="results".*?</section>', html, re.S)
    return re.sub(r"\s+", " ", section[0]) if section else ""


def pictures(section: str) -> list[str]:
    return re.findall(r'<img src="([^"?]+)', section)


def test_the_latest_results_stand_beside_their_inputs(alice: User, charlie: User, job: Job) -> None:
    made = [make_generation(job) for _ in range(6)]
    Generation.objects.filter(pk=made[3].pk).update(strength=0)
    Generation.objects.filter(pk=made[4].pk).update(state="failed")
    newest = (made[5], made[2], made[1])
    assert pictures(results_of(charlie, job)) == [
        address
        for each in newest
        for address in (f"/try/inputs/{each.input_id}/small.webp", f"/try/runs/{each.pk}/small.webp")
    ]
    assert FIRST not in results_of(alice, job)


def test_without_a_result_the_last_sample_stands_beside_its_input(alice: User, job: Job) -> None:
    make_samples(job, "control", "target", "0", "20", "40")
    Training.objects.create(job=job, samples=[0, 20, 40], is_over=True)
    section = results_of(alice, job)
    assert pictures(section) == [f"/jobs/{job.pk}/samples/control/", f"/jobs/{job.pk}/samples/40/"]
    assert "Sample after step 40" in section
    assert FIRST in section


def test_who_may_run_the_model_is_asked_for_the_first_picture(alice: User, charlie: User, job: Job) -> None:
    assert 'href="#playground"' in results_of(alice, job)
    assert FIRST in results_of(alice, job)
    assert FIRST not in results_of(charlie, job), "a viewer runs nothing"
    Job.objects.update(is_simulated=True)
    assert FIRST not in results_of(alice, job), "a simulated model cannot be run"


def test_the_file_stands_beside_them(alice: User, job: Job) -> None:
    kept = {"file_kept_at": now(), "file_sha256": "a1" * 32, "file_size": 343_000_000}
    Job.objects.filter(pk=job.pk).update(cloud_storage_url="https://a.example/b.safetensors", **kept)
    section = results_of(alice, job)
    assert f'href="/jobs/{job.pk}/download/"' in section
    assert "343 MB" in section
    assert "a1" * 32 in section
    page = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert page.count(f'href="/jobs/{job.pk}/download/"') == 1
    assert page.count("a1" * 32) == 1


def test_a_job_that_is_not_ready_has_none(alice: User) -> None:
    for state in (State.TRAINING, State.FAILED, State.TRAINED):
        assert not results_of(alice, make_job(alice, state))


def test_a_result_that_is_done_comes_to_the_open_page(alice: User, job: Job) -> None:
    client = signed_in(alice)
    page = text_of(client, f"/jobs/{job.pk}/")
    asks = re.search(r'hx-get="(/jobs/\d+/state/[^"]+)"', page)
    assert asks
    assert client.get(asks[1].replace("&amp;", "&"), headers=HTMX).status_code == 204
    generation = ordered(client, job)
    while run_task():
        pass
    html = client.get(asks[1].replace("&amp;", "&"), headers=HTMX).content.decode()
    assert f'id="result-{generation.pk}"' in html
