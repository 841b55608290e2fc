"""Who is notified of what, and that nothing is sent twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.timeline import Source, move
from finetune_portal.notifications import services, tasks
from finetune_portal.notifications.models import Channel, Event, Notification
from finetune_portal.queue.leases import claim
from finetune_portal.web import encryption
from finetune_portal.worker.tasks import TASKS
from tests.engine.sink import Sink
from tests.notifications.conftest import work
from tests.people import make_job

pytestmark = pytest.mark.usefixtures("near")


@pytest.fixture
def channel(alice: User, sink: Sink) -> Channel:
    return channel_of(alice, sink)


def channel_of(owner: User | None, sink: Sink, **fields: Any) -> Channel:
    sealed = encryption.encrypt(f"json://127.0.0.1:{sink.port}/{owner.name if owner else 'team'}")
    return Channel.objects.create(
        owner=owner, kind="apprise", display_address="JSON", encrypted_address=sealed, **fields
    )


def over(owner: User | None, state: str = "ready", **fields: Any) -> Job:
    return make_job(owner, state, **{"ended_at": now(), **fields})


def test_both_steps_are_tasks_of_the_worker() -> None:
    assert {tasks.create_notifications, tasks.send_next} <= {task.step for task in TASKS}


def test_a_move_of_the_job_is_told_once(alice: User, channel: Channel, sink: Sink) -> None:
    job = make_job(alice, "training")
    work()
    assert sink.seen == []
    move(job, State.READY, "Ready", source=Source.POLL)
    work()
    assert sink.seen == [], "its model file is on its way"
    Job.objects.update(file_check_requested_at=None)
    for _ in range(3):
        work()
    assert len(sink.seen) == 1


def test_a_model_file_that_does_not_come_delays_nothing_for_long(
    alice: User, channel: Channel, sink: Sink
) -> None:
    Channel.objects.update(subscribed_at=now() - timedelta(hours=1))
    job = over(alice, file_check_requested_at=now())
    work()
    assert sink.seen == []
    Job.objects.filter(pk=job.pk).update(ended_at=now() - tasks.COPY_MARGIN)
    work()
    assert len(sink.seen) == 1


def test_nothing_is_told_again_after_a_restart(alice: User, channel: Channel, sink: Sink) -> None:
    """A new worker knows the rows only. It takes up what the old one had in hand and had not marked."""
    over(alice)
    work()
    work()
    assert len(sink.seen) == 1
    over(alice, "failed")
    tasks.create_notifications()
    held = claim(Notification.objects.filter(finished_at=None), seconds=60)
    work()
    assert len(sink.seen) == 1, "another worker has it in hand"
    assert held is not None
    Notification.objects.filter(pk=held.pk).update(lease_expires_at=now() - timedelta(seconds=1))
    work()
    work()
    assert len(sink.seen) == 2


def test_two_workers_make_one_row(alice: User, channel: Channel, sink: Sink) -> None:
    job = over(alice)
    Notification.objects.create(job=job, channel=channel, event="ready", finished_at=now())
    Notification.objects.bulk_create(
        [Notification(job=job, channel=channel, event="ready")], ignore_conflicts=True
    )
    work()
    assert Notification.objects.count() == 1
    assert sink.seen == []


def test_each_hears_of_their_own_and_the_team_of_all(alice: User, bob: User, sink: Sink) -> None:
    for owner in (alice, bob, None):
        channel_of(owner, sink)
    over(alice)
    over(bob, "failed")
    work()
    assert sorted(seen.path for seen in sink.seen) == ["/Alice", "/Bob", "/team", "/team"]


@pytest.mark.parametrize("event", ["ready", "failed", "decision"])
def test_a_channel_tells_only_what_it_is_switched_on_for(event: str, alice: User, sink: Sink) -> None:
    off = {f"is_subscribed_to_{name}": name == event for name in ("ready", "failed", "decision")}
    channel_of(alice, sink, **off)
    over(alice)
    over(alice, "refused")
    over(alice, "needs_decision", ended_at=None)
    work()
    assert [notification.event for notification in Notification.objects.all()] == [event]
    assert len(sink.seen) == 1


def test_what_a_person_closed_is_no_news(alice: User, channel: Channel, sink: Sink) -> None:
    over(alice, "closed")
    work()
    assert sink.seen == []


def test_what_happened_before_the_channel_is_no_news(alice: User, sink: Sink) -> None:
    over(alice)
    channel = channel_of(alice, sink)
    work()
    assert sink.seen == []

    services.switch(channel, Event.READY, on=False, actor=alice)
    over(alice)
    services.switch(channel, Event.READY, on=True, actor=alice)
    work()
    assert sink.seen == []
    over(alice)
    work()
    assert len(sink.seen) == 1


def test_a_model_that_was_deleted_is_not_called_ready(alice: User, channel: Channel, sink: Sink) -> None:
    before, after = over(alice), over(alice)
    Job.objects.filter(pk=before.pk).update(model_deleted_at=now())
    tasks.create_notifications()
    assert [each.job_id for each in Notification.objects.all()] == [after.pk]
    Job.objects.filter(pk=after.pk).update(model_deleted_at=now())
    work()
    assert sink.seen == []
    assert not Notification.objects.filter(finished_at=None).exists()


def test_news_of_days_ago_is_not_told(alice: User, sink: Sink) -> None:
    channel_of(alice, sink, subscribed_at=now() - timedelta(days=9))
    over(alice, ended_at=now() - timedelta(hours=25))
    over(alice, ended_at=now() - timedelta(hours=23))
    work()
    assert len(sink.seen) == 1


def test_jobs_that_were_over_when_the_provider_listed_them_are_no_news(sink: Sink, db: None) -> None:
    channel_of(None, sink)
    over(None)
    over(None, created_at=now() - timedelta(minutes=5))
    work()
    assert len(sink.seen) == 1


def test_who_has_left_hears_nothing(alice: User, channel: Channel, sink: Sink) -> None:
    User.objects.update(is_active=False)
    over(alice)
    work()
    assert sink.seen == []


def test_a_look_costs_three_queries_however_many_jobs(alice: User, channel: Channel, sink: Sink) -> None:
    for _ in range(12):
        over(alice)
    tasks.create_notifications()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        tasks.create_notifications()
    assert len(queries) == 3


def test_what_was_told_a_month_ago_is_forgotten_and_not_told_anew(
    alice: User, channel: Channel, sink: Sink
) -> None:
    then = now() - timedelta(days=31)
    old, recent = (over(alice, ended_at=moment, updated_at=moment) for moment in (then, now()))
    for job, moment in ((old, then), (recent, now())):
        Notification.objects.create(channel=channel, job=job, event=Event.READY, finished_at=moment)
    waiting = Notification.objects.create(channel=channel, job=None, event=Event.TEST)
    next(task for task in TASKS if task.name == "cleanup").step()
    tasks.create_notifications()
    assert set(Notification.objects.values_list("job", flat=True)) == {recent.pk, None}
    assert waiting in Notification.objects.all()
