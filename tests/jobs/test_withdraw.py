"""POST /jobs/<pk>/withdraw/"""

from __future__ import annotations

from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import choices, services
from finetune_portal.jobs.models import Attempt, Job
from finetune_portal.queue.leases import claim
from finetune_portal.worker import tasks
from tests.people import HTMX, make_job, signed_in
from tests.worker.driving import fresh, point_nowhere


@pytest.fixture
def job(alice: User, dataset: Dataset, settings: Any) -> Job:
    """No action of withdrawing needs a provider, so there is none."""
    point_nowhere(settings)
    return make_job(alice, dataset=dataset)


def url(job: Job) -> str:
    return f"/jobs/{job.pk}/withdraw/"


@pytest.mark.parametrize("state", choices.UNSENT)
def test_what_was_not_sent_is_closed(alice: User, job: Job, state: str) -> None:
    Job.objects.update(state=state)
    response = signed_in(alice).post(url(job))
    assert response.headers["Location"] == f"/jobs/{job.pk}/"
    closed = fresh(job)
    assert closed.state == "closed"
    assert closed.ended_at
    assert [(event.text, event.actor) for event in job.events.all()] == [
        ("Withdrawn before it was sent", alice)
    ]
    assert AuditEvent.objects.get().action == "job.withdraw"


def test_the_worker_leaves_it_alone_afterwards(alice: User, job: Job) -> None:
    signed_in(alice).post(url(job))
    assert not tasks.submit_jobs()
    assert not Attempt.objects.exists()


def test_a_withdrawal_while_the_worker_picks_it_up_wins(alice: User, job: Job) -> None:
    """Claimed, not yet sending. The worker's own write then finds nothing to send.

    docs/reliability.md, S16.
    """
    assert claim(Job.objects.all(), seconds=60)
    services.withdraw(job, actor=alice)
    assert not tasks.submit_jobs()
    assert fresh(job).state == "closed"


@pytest.mark.parametrize("state", [*choices.DOUBTFUL, *choices.FOLLOWED, *choices.ENDED])
def test_what_was_sent_stays(alice: User, job: Job, state: str) -> None:
    Job.objects.update(state=state)
    response = signed_in(alice).post(url(job), follow=True)
    assert "Too late to withdraw" in response.content.decode()
    assert fresh(job).state == state
    assert not AuditEvent.objects.exists()


def test_it_is_offered_only_while_it_can_be_done(alice: User, bob: User, job: Job) -> None:
    page = f"/jobs/{job.pk}/"
    assert url(job) in signed_in(alice).get(page).content.decode()
    assert url(job) not in signed_in(bob).get(page).content.decode()
    Job.objects.update(state="sending")
    assert url(job) not in signed_in(alice).get(page).content.decode()


def test_an_admin_may_withdraw_every_job(dana: User, job: Job) -> None:
    response = signed_in(dana).post(url(job), headers=HTMX)
    assert f'id="stop-{job.pk}"' in response.content.decode()
    assert fresh(job).state == "closed"


@pytest.mark.parametrize("name", ["bob", "charlie"])
def test_others_may_not(name: str, job: Job, request: pytest.FixtureRequest) -> None:
    assert signed_in(request.getfixturevalue(name)).post(url(job)).status_code == 403
    assert fresh(job).state == "queued"
    assert not AuditEvent.objects.exists()


def test_a_maker_who_became_a_viewer_may_not_any_more(alice: User, job: Job) -> None:
    """From the next request on (docs/reliability.md, R6)."""
    client = signed_in(alice)
    User.objects.update(role=User.Role.VIEWER)
    assert client.post(url(job)).status_code == 403
    assert fresh(job).state == "queued"
