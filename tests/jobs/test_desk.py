"""Many jobs at once, archiving and back, kept views and presets, sweeps, names and notes."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, Preset, SavedView
from tests.people import HTMX, form_data, make_job, signed_in
from tests.running import RunningEngine
from tests.worker.driving import point_at, point_nowhere, text_of


def tick(*jobs: Job, action: str, query: str = "") -> dict[str, Any]:
    return {"job": [job.pk for job in jobs], "action": action, "query": query}


def test_archived_jobs_leave_the_table_and_come_back(alice: User) -> None:
    kept, gone = make_job(alice, State.READY, name="Kept"), make_job(alice, State.READY, name="Gone")
    client = signed_in(alice)
    page = client.post("/jobs/bulk/", tick(gone, action="archive"), follow=True).content.decode()
    assert "1 archived" in page
    assert f'id="job-{gone.pk}"' not in page
    assert f'id="job-{kept.pk}"' in page
    assert f'id="job-{gone.pk}"' in text_of(client, "/?archived=on")
    page = client.post("/jobs/bulk/undo/", follow=True).content.decode()
    assert f'id="job-{gone.pk}"' in page
    actions = AuditEvent.objects.values_list("action", flat=True)
    assert {"job.archive", "job.unarchive"} <= set(actions)


def test_jobs_of_others_are_left_as_they_are(alice: User, bob: User, charlie: User) -> None:
    job = make_job(alice, State.READY)
    for stranger in (bob, charlie):
        page = signed_in(stranger).post("/jobs/bulk/", tick(job, action="archive"), follow=True)
        assert "left as they are" in page.content.decode()
    job.refresh_from_db()
    assert job.archived_at is None


def test_nothing_ticked_and_an_unknown_action(alice: User) -> None:
    client = signed_in(alice)
    answer = client.post("/jobs/bulk/", tick(action="archive"), follow=True)
    assert "Tick the jobs first" in answer.content.decode()
    assert client.post("/jobs/bulk/", tick(make_job(alice), action="explode")).status_code == 400
    assert client.get("/jobs/bulk/").status_code == 405


def test_the_filter_stays_after_an_action(alice: User) -> None:
    job = make_job(alice, State.READY)
    answer = signed_in(alice).post("/jobs/bulk/", tick(job, action="archive", query="state=ready&q=night"))
    assert answer.url == "/?state=ready&q=night"


def test_what_fails_is_told_for_each(alice: User, engine: RunningEngine, settings: Any) -> None:
    point_at(settings, engine)
    job = make_job(alice, State.READY, request_id=str(uuid.uuid4()), is_public=True, cloud_storage_url="x")
    client = signed_in(alice)
    page = client.post("/jobs/bulk/", tick(job, action="private"), follow=True).content.decode()
    assert "Visibility was not changed" in page, "the engine does not know this job"
    point_nowhere(settings)
    links = client.post("/jobs/bulk/", tick(job, action="links"))
    assert links.headers["Content-Type"].startswith("text/plain")
    assert links.content.decode().startswith(f"{job.name}\t# No download link.")


def test_a_view_is_kept_under_its_name(alice: User, bob: User) -> None:
    make_job(bob)
    client = signed_in(alice)
    client.post("/views/", {"name": "Mine, failed", "query": "state=failed&mine=on&seen=1&before=7"})
    view = SavedView.objects.get()
    assert view.query == "state=failed&mine=on"
    assert "Mine, failed" in text_of(client, "/")
    assert "Mine, failed" not in text_of(signed_in(bob), "/")
    assert signed_in(bob).post(f"/views/{view.pk}/drop/").status_code == 404
    client.post(f"/views/{view.pk}/drop/")
    assert not SavedView.objects.exists()


def test_a_preset_of_the_team(alice: User, bob: User, charlie: User) -> None:
    data = {"preset_name": "Our own", "learning_rate": "0.0003", "steps": "700"}
    assert signed_in(charlie).post("/presets/", data).status_code == 403
    kept = signed_in(alice).post("/presets/", data, headers=HTMX)
    assert "Our own" in kept.content.decode()
    assert "Our own" in text_of(signed_in(bob), "/jobs/new/")
    preset = Preset.objects.get()
    assert (preset.learning_rate, preset.steps) == (0.0003, 700)
    assert "Remove the preset Our own" not in text_of(signed_in(bob), "/jobs/new/")
    assert signed_in(bob).post(f"/presets/{preset.pk}/drop/").status_code == 403
    signed_in(alice).post(f"/presets/{preset.pk}/drop/")
    assert not Preset.objects.exists()
    actions = list(AuditEvent.objects.values_list("action", flat=True))
    assert sorted(actions) == ["preset.drop", "preset.keep"]


def test_a_preset_that_cannot_be_kept_says_why_and_loses_nothing(alice: User, dataset: Dataset) -> None:
    client = signed_in(alice)
    for data, sentence in (
        ({"preset_name": ""}, "Give the preset a name"),
        ({"preset_name": "Two", "learning_rate": "0.0001, 0.0004"}, "A preset has one learning rate"),
    ):
        typed = form_data(dataset, instance_prompt="a red hat", **data)
        answer = client.post("/presets/", typed)
        html = answer.content.decode()
        assert answer.status_code == 422
        assert sentence in html
        assert "a red hat" in html
        assert f'<option value="{dataset.pk}" selected' in html
    assert not Preset.objects.exists()


def test_a_sweep_asks_first_and_starts_each_once(alice: User, dataset: Dataset) -> None:
    client = signed_in(alice)
    data = form_data(dataset, learning_rate="0.0001, 0.0004", steps="300 500; 1000")
    asked = client.post("/jobs/new/", data)
    assert "This starts 6 trainings" in asked.content.decode()
    assert not Job.objects.exists()
    for _ in range(2):
        answer = client.post("/jobs/new/", {**data, "confirmed": "6"})
    jobs = Job.objects.all()
    assert {(job.learning_rate, job.steps) for job in jobs} == {
        (rate, steps) for rate in (0.0001, 0.0004) for steps in (300, 500, 1000)
    }
    assert len(jobs) == 6
    assert {str(job.sweep) for job in jobs} == {data["form_key"]}
    assert text_of(client, answer.url).count('<tr id="job-') == 6
    assert "Compare 6 trainings" in text_of(client, f"/jobs/compare/?sweep={data['form_key']}")


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("learning_rate", "0.0001, x", "A learning rate is a number"),
        ("learning_rate", "0.0001, 5", "Too big"),
        ("learning_rate", "nan", "A learning rate is a number"),
        ("steps", "300, 0", "At least 1 step"),
        ("steps", "1 2 3 4 5 6 7", "At most 6 values"),
    ],
)
def test_one_wrong_value_of_a_sweep_is_named(
    alice: User, dataset: Dataset, field: str, value: str, sentence: str
) -> None:
    answer = signed_in(alice).post("/jobs/new/", form_data(dataset, **{field: value}))
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not Job.objects.exists()


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
    assert "Give the training a name" in refused.content.decode()


def test_the_order_holds_over_pages(alice: User) -> None:
    for number in range(60):
        make_job(alice, State.READY, name=f"Job {number % 3} {number:02}")
    client = signed_in(alice)
    first = text_of(client, "/?sort=name")
    assert first.index("Job 0 57") < first.index("Job 1 01") < first.index("Job 2 02")
    last = Job.objects.order_by("name", "pk")[49]
    second = text_of(client, f"/?sort=name&before={last.pk}~{last.name}")
    assert f'id="job-{last.pk}"' not in second
    assert second.count('<tr id="job-') == 10
    assert "Newer" in second
