"""A second training of one job at its provider: it was paid for, so it has a row of its own."""

from __future__ import annotations

from django.db import transaction

from finetune_portal.connections.models import Connection
from finetune_portal.jobs import costs
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Attempt, Job
from finetune_portal.jobs.timeline import Source, note
from finetune_portal.providers.contract import Handle

COPIED = (
    *("name", "owner", "dataset", "currency"),
    *("trainer", "instance_prompt", "learning_rate", "steps", "parameters"),
)


def sentence(connection: Connection) -> str:
    """What the history of such a job says."""
    return f"Found at the provider as a second training of the same job{costs.risk(connection)}"


def adopt(first: Job, attempt: Attempt, handle: Handle) -> None:
    """Make a row for what another attempt of the job `first` trains, unless its id has one."""
    fields = {name: getattr(first, name) for name in COPIED}
    fields |= {
        "connection": attempt.sent_by,
        "state": State.REQUESTED,
        "provider_addresses": dict(handle.addresses),
        "sent_at": attempt.started_at,
    }
    with transaction.atomic():
        job, is_new = Job.objects.get_or_create(request_id=handle.id, defaults=fields)
        if is_new:
            note(job, sentence(attempt.sent_by), source=Source.POLL, state=job.state)
            note_on_first(first, job)
            costs.move_to_second(first, job, attempt.cost_id or 0)


def note_on_first(first: Job, job: Job) -> None:
    note(first, f"The provider has a second training of this job: job {job.pk}", source=Source.POLL)
