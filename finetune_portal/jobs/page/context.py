"""All that a job's page shows, as the context of its templates."""

from __future__ import annotations

from typing import Any

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Transfer
from finetune_portal.jobs import access, costs
from finetune_portal.jobs.choices import UNTRAINED, State
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.page.curves import Curves
from finetune_portal.jobs.page.diagnosis import diagnose
from finetune_portal.jobs.page.estimate import estimate
from finetune_portal.jobs.page.snippets import snippets
from finetune_portal.jobs.page.stages import progress_line
from finetune_portal.projects.forms import MoveForm


def job_context(user: User, job: Job) -> dict[str, Any]:
    events = list(job.events.select_related("actor"))
    training = job.training_or_none
    closed, failed_transfer = _closed_context(job), _failed_transfer(job)
    waits = f"{closed['closed_stamp']}{failed_transfer or ''}"
    return {
        "job": job,
        "events": events,
        "stages": progress_line(job, events),
        "may_change": access.may_change(user, job),
        "move_form": MoveForm(initial={"project": job.project_id}, user=user),
        "training": training,
        "curves": Curves(training) if training else None,
        "has_progress": training is not None and (job.state in UNTRAINED or bool(training.losses)),
        "stamp": f"{_stamp(job, training)}-{len(events)}-{_dataset_stamp(job)}{waits}",
        "estimate": estimate(job, access.visible(user), events),
        "diagnosis": diagnose(job, events),
        "snippets": snippets(job),
        "failed_transfer": failed_transfer,
        "costs": list(costs.of(job)),
        "approval": costs.approval_of(job) if job.state == State.APPROVAL else None,
        **closed,
    }


def _failed_transfer(job: Job) -> Transfer | None:
    """The given-up transfer that a waiting job waits for, where the dataset's own status does not show it."""
    if job.state != State.WAITING or job.dataset is None or job.dataset.is_transfer_failed:
        return None
    return job.dataset.transfers.filter(connection=job.connection_id, failed_at__isnull=False).first()


def _closed_context(job: Job) -> dict[str, Any]:
    """For a job that waits for a closed provider: the connections to send it by instead."""
    connection = job.connection
    if not (job.can_withdraw and connection.is_training_closed):
        return {"waits_for_closed": False, "closed_stamp": ""}
    others = [each for each in Connection.objects.in_use().exclude(pk=connection.pk) if each.takes_jobs]
    stamp = f"-{connection.updated_at.timestamp():.6f}-{connection.takes_jobs}"
    return {"waits_for_closed": True, "other_connections": others, "closed_stamp": stamp}


def _stamp(job: Job, training: Training | None) -> str:
    moments = [job.updated_at, *([training.updated_at] if training else [])]
    return "-".join(f"{moment.timestamp():.6f}" for moment in moments)


def _dataset_stamp(job: Job) -> str:
    dataset = job.dataset
    return f"{dataset.progress.percent}-{dataset.state}" if dataset and not dataset.is_settled else ""
