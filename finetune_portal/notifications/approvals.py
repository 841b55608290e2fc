"""Who hears of an approval: admins that one waits, and whoever asked for it what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db.models import Q

from finetune_portal.costs.models import Approval, Cost
from finetune_portal.jobs.models import Job
from finetune_portal.notifications.models import Channel, Event

Pair = tuple[Approval, Job]


def recent(since: datetime) -> list[Pair]:
    """Approvals that wait, or were decided since then, with their jobs."""
    waits = Q(cost__state=Cost.State.APPROVAL, asked_at__gte=since)
    rows = Approval.objects.filter(waits | Q(decided_at__gte=since), cost__kind=Cost.Kind.JOB)
    approvals = list(rows.select_related("cost"))
    keys = [each.cost.subject for each in approvals]
    jobs = Job.objects.select_related("owner", "project").in_bulk(keys) if keys else {}
    return [(each, jobs[each.cost.subject]) for each in approvals if each.cost.subject in jobs]


def events(
    channel: Channel, pairs: list[Pair], hidden: Mapping[int, frozenset[int]]
) -> list[tuple[int, str]]:
    """The jobs and the events that this channel is to hear of. `hidden` projects are by the job's owner."""
    named = ((approval, job, event_of(approval)) for approval, job in pairs)
    return [
        (job.pk, event) for approval, job, event in named if _is_for(channel, approval, job, event, hidden)
    ]


def event_of(approval: Approval) -> Event:
    if approval.decided_at is None:
        return Event.APPROVAL
    return Event.APPROVED if approval.is_approved else Event.DECLINED


def _is_for(
    channel: Channel, approval: Approval, job: Job, event: Event, hidden: Mapping[int, frozenset[int]]
) -> bool:
    """Of a private project the team's channels hear nothing, and its owner only while they see it."""
    if channel.owner is None:
        is_concerned = not (job.project and job.project.is_private)
    elif event is Event.APPROVAL:
        is_concerned = channel.owner.can_administer
    else:
        is_concerned = channel.owner_id == job.owner_id
        is_concerned &= job.project_id not in hidden.get(job.owner_id or 0, ())
    moment = approval.decided_at or approval.asked_at
    return is_concerned and moment >= channel.subscribed_at and channel.is_subscribed(event)
