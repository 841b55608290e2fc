"""POST /jobs/bulk/: compare, download links, make private, archive and bring back."""

from __future__ import annotations

import uuid
from typing import Any

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from tests.people import make_job, signed_in
from tests.running import RunningEngine
from tests.worker.driving import point_at, point_nowhere, text_of


def selection(*jobs: Job, action: str, query: str = "") -> dict[str, Any]:
    return {"job": [job.pk for job in jobs], "action": action, "query": query}


def test_archived_jobs_leave_the_table_and_come_back(alice: User) -> None:
    kept, gone = make_job(alice, State.READY, name="Kept"), make_job(alice, State.READY, name="Gone")
    client = signed_in(alice)
    page = client.post("/jobs/bulk/", selection(gone, action="archive"), follow=True).content.decode()
    assert "1 archived" in page
    assert f'id="job-{gone.pk}"' not in page
    assert f'id="job-{kept.pk}"' in page
    assert f'id="job-{gone.pk}"' in text_of(client, "/?archived=on")
    page = client.post("/jobs/bulk/undo/", follow=True).content.decode()
    assert f'id="job-{gone.pk}"' in page
    actions = AuditEvent.objects.values_list("action", flat=True)
    assert {"job.archive", "job.unarchive"} <= set(actions)


def test_jobs_of_others_are_left_unchanged(alice: User, bob: User, charlie: User) -> None:
    job = make_job(alice, State.READY)
    for stranger in (bob, charlie):
        page = signed_in(stranger).post("/jobs/bulk/", selection(job, action="archive"), follow=True)
        assert "left unchanged" in page.content.decode()
    job.refresh_from_db()
    assert job.archived_at is None


def test_no_selection_and_an_unknown_action(alice: User) -> None:
    client = signed_in(alice)
    answer = client.post("/jobs/bulk/", selection(action="archive"), follow=True)
    assert "Select one or more jobs first" in answer.content.decode()
    assert client.post("/jobs/bulk/", selection(make_job(alice), action="explode")).status_code == 400


def test_the_filter_stays_after_an_action(alice: User) -> None:
    job = make_job(alice, State.READY)
    answer = signed_in(alice).post(
        "/jobs/bulk/", selection(job, action="archive", query="state=ready&q=night")
    )
    assert answer.headers["Location"] == "/?state=ready&q=night"


def test_failures_are_shown_for_each_job(alice: User, engine: RunningEngine, settings: Any) -> None:
    point_at(settings, engine)
    job = make_job(alice, State.READY, request_id=str(uuid.uuid4()), is_public=True, cloud_storage_url="x")
    client = signed_in(alice)
    page = client.post("/jobs/bulk/", selection(job, action="private"), follow=True).content.decode()
    assert "Visibility was not changed" in page, "the engine does not know this job"
    point_nowhere(settings)
    links = client.post("/jobs/links/", {"job": [job.pk]})
    assert links.headers["Content-Type"].startswith("text/plain")
    assert links.content.decode().startswith(f"{job.name}\t# No download link.")
