"""The worker's two steps: write a notification for what happened to a job, and send what is written.

Level-triggered: it looks at the state of the jobs and not at their moves, so what happened while no worker
ran is told as well, for a day. A row is sent once; only where the worker is killed between a receiver's yes
and the row's `done` does the message come twice, rather than not at all.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils.timezone import now

from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.notifications import delivery, messages
from finetune_portal.notifications.models import Channel, Event, Notification
from finetune_portal.queue.leases import backoff, claim, held_by

NEWS_FOR = timedelta(days=1)
LEASE = 180.0
FIRST_PAUSE = 10.0
TRIES = 8  # over about half an hour; a test has one

EVENT_OF = {
    State.READY: Event.READY,
    State.FAILED: Event.FAILED,
    State.REFUSED: Event.FAILED,
    State.NEEDS_DECISION: Event.DECISION,
}
OVER = (State.READY, State.FAILED, State.REFUSED)
KEPT = timedelta(days=30)  # far longer than NEWS_FOR, so that nothing is told anew
OLD_WHEN_FOUND = timedelta(minutes=1)


def write() -> bool:
    """Make the rows that are missing: one for each recent event and each channel that wants it."""
    channels = list(Channel.objects.filter(Q(owner=None) | Q(owner__is_active=True)))
    jobs = list(_recent()) if channels else []
    keys = Notification.objects.filter(job__in=[job.pk for job in jobs])
    there = set(keys.values_list("job_id", "channel_id", "event"))
    missing = [
        Notification(job=job, channel=channel, event=EVENT_OF[State(job.state)])
        for job in jobs
        for channel in channels
        if _concerns(channel, job) and (job.pk, channel.pk, EVENT_OF[State(job.state)]) not in there
    ]
    if missing:
        Notification.objects.bulk_create(missing, ignore_conflicts=True)
    return False


def _recent() -> QuerySet[Job]:
    """What the portal finds upstream already over, such as the jobs of before it was set up, is no news."""
    since = now() - NEWS_FOR
    happened = Q(state__in=OVER, ended_at__gte=since) | Q(state=State.NEEDS_DECISION, updated_at__gte=since)
    found_old = Q(owner=None, ended_at__lte=F("created_at") + OLD_WHEN_FOUND)
    return (
        Job.objects.filter(happened).exclude(found_old).only("pk", "owner", "state", "ended_at", "updated_at")
    )


def _concerns(channel: Channel, job: Job) -> bool:
    moment: datetime = job.ended_at or job.updated_at
    its_own = channel.is_team_channel or channel.owner_id == job.owner_id
    return its_own and moment >= channel.subscribed_at and channel.is_subscribed(EVENT_OF[State(job.state)])


def send_next() -> bool:
    rows = Notification.objects.filter(finished_at=None).select_related("channel", "job__owner")
    notification = claim(rows, seconds=LEASE)
    if notification is None:
        return False
    message = messages.about(notification.job, notification.event) if notification.job else messages.test()
    try:
        delivery.deliver(notification.channel, message)
    except delivery.NotDelivered as exc:
        _failed(notification, exc)
    else:
        _delivered(notification)
    return True


def _delivered(notification: Notification) -> None:
    with transaction.atomic():
        held_by(notification).update(finished_at=now(), error="", lease_expires_at=None)
        Channel.objects.filter(pk=notification.channel_id).update(last_delivered_at=now(), last_error="")


def _failed(notification: Notification, exc: delivery.NotDelivered) -> None:
    tries = 1 if notification.event == Event.TEST else TRIES
    over = now() if exc.is_final or notification.attempts >= tries else None
    due = now() + backoff(notification.attempts, first=FIRST_PAUSE)
    text = str(exc)[:300]
    with transaction.atomic():
        held_by(notification).update(finished_at=over, due_at=due, error=text, lease_expires_at=None)
        Channel.objects.filter(pk=notification.channel_id).update(last_failed_at=now(), last_error=text)


def forget_old() -> bool:
    """Remove what was told long ago."""
    Notification.objects.filter(finished_at__lt=now() - KEPT).delete()
    return False
