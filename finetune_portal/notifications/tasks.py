"""The worker's tasks: create a notification for what happened to a job, and send it.

They look at the state of the jobs, not at their changes, so people also hear what happened while no worker
ran, for a day. A row is sent once; only if the worker is killed between the receiver's answer and
`finished_at` is the message sent twice, rather than not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils.timezone import now

from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.notifications import approvals, confirmation, delivery, messages
from finetune_portal.notifications.models import Channel, Event, Notification
from finetune_portal.projects import access as projects
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
COPY_MARGIN = timedelta(minutes=10)  # for the copy of the model file, until which pages do not say "Ready"


def create_notifications() -> bool:
    """Create the missing rows: one for each recent event and each channel that is subscribed to it."""
    channels = _channels()
    jobs = list(_recent_jobs()) if channels else []
    private = [job for job in jobs if job.project and job.project.is_private]
    hidden = projects.hidden_from([job.owner for job in private if job.owner])
    keys = Notification.objects.filter(job__in=[job.pk for job in jobs])
    existing = set(keys.values_list("job_id", "channel_id", "event"))
    missing = [
        Notification(job=job, channel=channel, event=EVENT_OF[State(job.state)])
        for job in jobs
        for channel in channels
        if _is_for(channel, job, hidden) and (job.pk, channel.pk, EVENT_OF[State(job.state)]) not in existing
    ]
    if missing:
        Notification.objects.bulk_create(missing, ignore_conflicts=True)
    return False


def create_for_approvals() -> bool:
    """Create the missing rows of approvals that wait or were decided within the last day."""
    decisions = approvals.recent(now() - MAX_AGE)
    private = [job for _, job in decisions if job.project and job.project.is_private]
    hidden = projects.hidden_from([job.owner for job in private if job.owner])
    rows = [
        Notification(job_id=job, channel=channel, event=event)
        for channel in (_channels() if decisions else [])
        for job, event in approvals.events(channel, decisions, hidden)
    ]
    if rows:
        Notification.objects.bulk_create(rows, ignore_conflicts=True)
    return False


def _channels() -> list[Channel]:
    """Those that may be sent to, with the role of their owners."""
    confirmed = Channel.objects.exclude(confirmed_at=None).select_related("owner")
    return list(confirmed.filter(Q(owner=None) | Q(owner__is_active=True)))


def _recent_jobs() -> QuerySet[Job]:
    """Without jobs that were finished when the portal first saw them, and those whose model was deleted."""
    since = now() - MAX_AGE
    happened = Q(state__in=FINISHED, ended_at__gte=since) | Q(
        state=State.NEEDS_DECISION, updated_at__gte=since
    )
    ended_before_first_seen = Q(owner=None, ended_at__lte=F("created_at") + FIRST_SEEN_MARGIN)
    is_on_its_way = {"file_check_requested_at__isnull": False, "ended_at__gt": now() - COPY_MARGIN}
    return (
        Job.objects.filter(happened)
        .exclude(ended_before_first_seen)
        .exclude(state=State.READY, **is_on_its_way)
        .exclude(state=State.READY, model_deleted_at__isnull=False)
        .select_related("owner", "project")
        .only("pk", "owner", "project", "state", "ended_at", "updated_at")
    )


def _is_for(channel: Channel, job: Job, hidden: Mapping[int, frozenset[int]]) -> bool:
    """Of a private project nobody hears but the owner of the job, if it is a member. `hidden` is by owner."""
    moment: datetime = job.ended_at or job.updated_at
    is_concerned = channel.owner_id == job.owner_id and job.project_id not in hidden.get(
        job.owner_id or 0, ()
    )
    is_concerned |= channel.is_team_channel and not (job.project and job.project.is_private)
    return (
        is_concerned and moment >= channel.subscribed_at and channel.is_subscribed(EVENT_OF[State(job.state)])
    )


def send_next() -> bool:
    may_send = Q(event=Event.CONFIRM) | Q(channel__confirmed_at__isnull=False)
    rows = Notification.objects.filter(may_send, finished_at=None)
    notification = claim(rows.select_related("channel__owner", "job__owner", "job__project"), seconds=LEASE)
    if notification is None:
        return False
    message = _message_of(notification)
    if message is None:
        held_by(notification).update(finished_at=now(), lease_expires_at=None)
        return True
    try:
        delivery.deliver(notification.channel, message)
    except delivery.DeliveryError as exc:
        _mark_failed(notification, exc)
    else:
        _mark_delivered(notification)
    return True


def _message_of(notification: Notification) -> messages.Message | None:
    """Return what to send; None where nothing is to be sent any more.

    A link to confirm may be confirmed meanwhile, a job in a private project by now, and its model deleted.
    """
    if notification.job:
        if notification.event == Event.READY and notification.job.model_deleted_at:
            return None
        owner, project = notification.channel.owner, notification.job.project
        is_seen = projects.may_see(owner, project) if owner else not (project and project.is_private)
        if not is_seen:
            return None
        return messages.about(notification.job, notification.event)
    if notification.event != Event.CONFIRM:
        return messages.test()
    link = confirmation.new_link(notification.channel)
    return messages.confirmation(notification.channel, link) if link else None


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
