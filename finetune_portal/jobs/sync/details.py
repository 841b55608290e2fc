"""Fetch the details of a job from its provider and update the row and the timeline."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import Any

from django.utils.timezone import now

from finetune_portal.connections import rate_limit
from finetune_portal.connections.client import client_for
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import STATE_OF_PHASE, State
from finetune_portal.jobs.models import Job, is_cancelled
from finetune_portal.jobs.timeline import move
from finetune_portal.providers.errors import CallError, RequestRejectedError
from finetune_portal.providers.segmind import FineTune, phase
from finetune_portal.queue.leases import renew

LEASE = 45.0  # longer than one call may take
MAX_FAILURES = 3
# Of one poll, at the most: an account that is new here has details of hundreds of jobs to fetch.
DETAILS_SECONDS = 10.0
RENEW_SECONDS = 2.0


@dataclass
class DetailFetcher:
    """Fetches details during one poll, while calls are left, few of them fail and time remains."""

    connection: Connection
    failures_left: int = MAX_FAILURES
    ends: float = 0.0
    renewed_at: float = 0.0

    def fetch(self, finetune: FineTune) -> FineTune | None:
        """Return None when details cannot be had now, or the list's item where there are none."""
        self.ends = self.ends or monotonic() + min(DETAILS_SECONDS, self.connection.poll_seconds / 2)
        can_call = self.failures_left > 0 and monotonic() < self.ends
        if not (can_call and rate_limit.take_call(self.connection, reserve=rate_limit.DETAILS)):
            self.failures_left = 0
            return None
        if monotonic() > self.renewed_at + RENEW_SECONDS:
            renew(self.connection, seconds=LEASE)
            self.renewed_at = monotonic()
        try:
            with client_for(self.connection) as client:
                return client.details(finetune.id)
        except RequestRejectedError:
            return finetune
        except CallError:
            self.failures_left -= 1
            return None


def refresh(job: Job, *, source: str) -> None:
    """Fetch the details of one job and update it."""
    with client_for(job.connection) as client:
        finetune = client.details(str(job.request_id))
    update_job(job, finetune, source=source)


def update_job(job: Job, finetune: FineTune, *, source: str, is_partial: bool = False) -> None:
    """Update a job from what its provider says; the timeline notes the `source` of a new state."""
    status = finetune.status[:100] or job.provider_status
    state = STATE_OF_PHASE[phase(status)]
    fields = _fields(job, finetune, state, is_partial=is_partial) | {"provider_status": status}
    if state != job.state or (state == State.RUNNING and status != job.provider_status):
        text = _text(state, status, fields["error"])
        move(job, state, text, source=source, detail=finetune.error_message or "", **fields)
    elif any(getattr(job, name) != value for name, value in fields.items()):
        Job.objects.filter(pk=job.pk).update(updated_at=now(), **fields)


def _fields(job: Job, finetune: FineTune, state: State, *, is_partial: bool) -> dict[str, Any]:
    provider_data = {**finetune.raw, "reached": job.reached if state == State.FAILED else state}
    if is_partial:
        provider_data["partial"] = True
    error = ""
    if state == State.FAILED:
        error = finetune.error_message or "The provider gives no reason."
    return {
        "is_public": finetune.public and not job.is_deleted_at_provider,
        "slug": finetune.slug[:200] or job.slug,
        "cloud_storage_url": finetune.cloud_storage_url[:2000] or job.cloud_storage_url,
        "is_simulated": finetune.model_information.get("simulated") is True,
        "instance_prompt": job.instance_prompt or finetune.instance_prompt,
        "provider_data": provider_data,
        "error": error,
    }


def _text(state: State, status: str, error: str) -> str:
    if state == State.RUNNING:
        return f"Provider status: {status}"
    return "Cancelled" if is_cancelled(state, error) else state.label
