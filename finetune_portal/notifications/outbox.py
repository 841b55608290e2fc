"""The worker's two steps: write a notice for what happened to a job, and send what is written.

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
from finetune_portal.notifications.models import Channel, Event, Notice
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
    keys = Notice.objects.filter(job__in=[job.pk for job in jobs])
    there = set(keys.values_list("job_id", "channel_id", "event"))
    missing = [
        Notice(job=job, channel=channel, event=EVENT_OF[State(job.state)])
        for job in jobs
        for channel in channels
        if _concerns(channel, job) and (job.pk, channel.pk, EVENT_OF[State(job.state)]) not in there
    ]
    if missing:
        Notice.objects.bulk_create(missing, ignore_conflicts=True)
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
    its_own = channel.is_the_teams or channel.owner_id == job.owner_id
    return its_own and moment >= channel.since and channel.wants(EVENT_OF[State(job.state)])


def send_next() -> bool:
    rows = Notice.objects.filter(done=None).select_related("channel", "job__owner")
    notice = claim(rows, seconds=LEASE)
    if notice is None:
        return False
    message = messages.about(notice.job, notice.event) if notice.job else messages.test()
    try:
        delivery.deliver(notice.channel, message)
    except delivery.NotDelivered as exc:
        _failed(notice, exc)
    else:
        _delivered(notice)
    return True


def _delivered(notice: Notice) -> None:
    with transaction.atomic():
        held_by(notice).update(done=now(), error="", lease_expires_at=None)
        Channel.objects.filter(pk=notice.channel_id).update(last_ok=now(), last_error="")


def _failed(notice: Notice, exc: delivery.NotDelivered) -> None:
    tries = 1 if notice.event == Event.TEST else TRIES
    over = now() if exc.is_final or notice.attempts >= tries else None
    due = now() + backoff(notice.attempts, first=FIRST_PAUSE)
    text = str(exc)[:300]
    with transaction.atomic():
        held_by(notice).update(done=over, due_at=due, error=text, lease_expires_at=None)
        Channel.objects.filter(pk=notice.channel_id).update(last_failed=now(), last_error=text)


def forget_old() -> bool:
    """Remove what was told long ago."""
    Notice.objects.filter(done__lt=now() - KEPT).delete()
    return False
