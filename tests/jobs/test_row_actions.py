"""What a row of the table offers to do with its job."""

from __future__ import annotations

import re

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job
from tests.people import HTMX, make_job, signed_in
from tests.worker.driving import fresh, text_of


@pytest.fixture(autouse=True)
def the_connection(db: None) -> None:
    connections.built_in()
    Connection.objects.update(capabilities=["cancel"])


def offered(viewer: User, job: Job, layout: str = "table") -> list[str]:
    """What the buttons and links of the job's actions are called."""
    html = text_of(signed_in(viewer), f"/?layout={layout}")
    actions = (
        html.split(f'id="job-{job.pk}"')[1]
        .split('<div class="actions">')[1]
        .split(f'id="job-{job.pk - 1}"')[0]
    )
    return re.findall(r'<(?:a|button) class="button[^>]* title="([^"]+)"', actions)


@pytest.mark.parametrize("layout", ["table", "grid"])
def test_it_offers_what_can_be_done_to_who_may(alice: User, bob: User, charlie: User, layout: str) -> None:
    runs = make_job(alice, "training", request_id="1")
    waits = make_job(alice, "queued")
    ready = make_job(alice, "ready", request_id="2", slug="s", cloud_storage_url="https://a.example/b")
    cancelling = make_job(alice, "training", request_id="3", cancel_requested_at=now())
    jobs = (runs, waits, ready, cancelling)
    assert [offered(alice, job, layout) for job in jobs] == [
        ["Cancel job"],
        ["Withdraw, as it is not sent yet"],
        ["Train again with changes", "Download"],
        [],
    ]
    for viewer in (bob, charlie):
        assert [offered(viewer, job, layout) for job in jobs] == [[], [], ["Download"], []]


def test_cancelling_in_the_row_answers_with_its_button(alice: User, bob: User) -> None:
    job, waits = make_job(alice, "training", request_id="1"), make_job(alice, "queued")
    client = signed_in(alice)
    sent = {"confirmed": "on"}
    answer = client.post(f"/jobs/{job.pk}/cancel/", sent, headers=HTMX).content.decode()
    assert answer.strip().startswith(f'<div id="stop-{job.pk}"')
    assert "<form" not in answer
    assert fresh(job).cancel_requested_at
    late = client.post(f"/jobs/{job.pk}/cancel/", sent, headers=HTMX).content.decode()
    assert "There is nothing to cancel" in late
    client.post(f"/jobs/{waits.pk}/withdraw/", headers=HTMX)
    assert fresh(waits).state == "closed"
    assert signed_in(bob).post(f"/jobs/{job.pk}/cancel/", sent, headers=HTMX).status_code == 403
    assert client.post(f"/jobs/{job.pk}/cancel/", sent).headers["Location"] == f"/jobs/{job.pk}/"
