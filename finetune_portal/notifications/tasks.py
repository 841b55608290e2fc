"""The worker's tasks: create a notification for what happened to a job, and send it.

They look at the state of the jobs, not at their changes, so people also hear what happened while no worker
ran, for a day. A row is sent once; only if the worker is killed between the receiver's answer and
`finished_at` is the message sent twice, rather than not at all.
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

MAX_AGE = timedelta(days=1)
LEASE = 180.0
FIRST_BACKOFF = 10.0
MAX_ATTEMPTS = 8  # in about half an hour; a test has one

EVENT_OF = {
    State.READY: Event.READY,
    State.FAILED: Event.FAILED,
    State.REFUSED: Event.FAILED,
    State.NEEDS_DECISION: Event.DECISION,
}
FINISHED = (State.READY, State.FAILED, State.REFUSED)
RETENTION = timedelta(days=30)  # far longer than MAX_AGE, so that nothing is sent again
FIRST_SEEN_MARGIN = timedelta(minutes=1)


def create_notifications() -> bool:
    """Create the missing rows: one for each recent event and each channel that is subscribed to it."""
    channels = list(Channel.objects.filter(Q(owner=None) | Q(owner__is_active=True)))
    jobs = list(_recent_jobs()) if channels else []
    keys = Notification.objects.filter(job__in=[job.pk for job in jobs])
    existing = set(keys.values_list("job_id", "channel_id", "event"))
    missing = [
        Notification(job=job, channel=channel, event=EVENT_OF[State(job.state)])
        for job in jobs
        for channel in channels
        if _is_for(channel, job) and (job.pk, channel.pk, EVENT_OF[State(job.state)]) not in existing
    ]
    if missing:
        Notification.objects.bulk_create(missing, ignore_conflicts=True)
    return False


def _recent_jobs() -> QuerySet[Job]:
    """Without jobs that were finished when the portal first saw them, such as those of before its start."""
    since = now() - MAX_AGE
    happened = Q(state__in=FINISHED, ended_at__gte=since) | Q(
        state=State.NEEDS_DECISION, updated_at__gte=since
    )
    ended_before_first_seen = Q(owner=None, ended_at__lte=F("created_at") + FIRST_SEEN_MARGIN)
    return (
        Job.objects.filter(happened)
        .exclude(ended_before_first_seen)
        .only("pk", "owner", "state", "ended_at", "updated_at")
    )


def _is_for(channel: Channel, job: Job) -> bool:
    moment: datetime = job.ended_at or job.updated_at
    is_concerned = channel.is_team_channel or channel.owner_id == job.owner_id
    return (
        is_concerned and moment >= channel.subscribed_at and channel.is_subscribed(EVENT_OF[State(job.state)])
    )


def send_next() -> bool:
    rows = Notification.objects.filter(finished_at=None).select_related("channel", "job__owner")
    notification = claim(rows, seconds=LEASE)
    if notification is None:
        return False
    message = messages.about(notification.job, notification.event) if notification.job else messages.test()
    try:
        delivery.deliver(notification.channel, message)
    except delivery.DeliveryError as exc:
        _mark_failed(notification, exc)
    else:
        _mark_delivered(notification)
    return True


def _mark_delivered(notification: Notification) -> None:
    with transaction.atomic():
        held_by(notification).update(finished_at=now(), error="", lease_expires_at=None)
        Channel.objects.filter(pk=notification.channel_id).update(last_delivered_at=now(), last_error="")


def _mark_failed(notification: Notification, exc: delivery.DeliveryError) -> None:
    max_attempts = 1 if notification.event == Event.TEST else MAX_ATTEMPTS
    finished_at = now() if exc.is_final or notification.attempts >= max_attempts else None
    due = now() + backoff(notification.attempts, first=FIRST_BACKOFF)
    text = str(exc)[:300]
    with transaction.atomic():
        held_by(notification).update(finished_at=finished_at, due_at=due, error=text, lease_expires_at=None)
        Channel.objects.filter(pk=notification.channel_id).update(last_failed_at=now(), last_error=text)


def delete_old() -> bool:
    """Delete notifications that were sent long ago."""
    Notification.objects.filter(finished_at__lt=now() - RETENTION).delete()
    return False
