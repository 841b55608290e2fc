"""What a webhook about one attempt leads to: its sender is verified, and the job is asked for.

A signature shows that the provider sent it, about a job of whatever account. So a job that the portal does
not know by its id yet is asked for by the connection's own key first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from finetune_portal.connections import rate_limit
from finetune_portal.connections.client import NO_CALLS_LEFT, adapter_for
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import ENDED
from finetune_portal.jobs.models import Attempt, Job
from finetune_portal.jobs.sync import follow, lost
from finetune_portal.jobs.timeline import Source
from finetune_portal.providers.contract import Handle, WebhookEvent
from finetune_portal.providers.errors import RateLimitedError, RequestRejectedError

FOUND = "A signed webhook names it: it was accepted"
ASKED_FOR = "Signed: the job is asked for"
KNOWN = "Signed; the portal already knew the end of the job"
NOT_OURS = "Signed, but the account does not know the job that it names"
MOVED = "Signed, but the job was changed meanwhile"


def verify(
    connection: Connection, headers: Mapping[str, str], body: bytes, received_at: datetime
) -> WebhookEvent:
    """Raise SignatureError for a message of anyone else, another CallError if that cannot be judged now."""
    with adapter_for(connection) as adapter:
        return adapter.verify_webhook(headers, body, received_at)


def apply(attempt: Attempt, event: WebhookEvent) -> tuple[Job, str]:
    """Have the job of a verified message asked for, and return it with what was done.

    A job whose answer was lost takes the id, and one that has another a second training. Raises a CallError
    if the provider cannot be asked about it now.
    """
    if known := _job_of(attempt, event):
        follow.follow_soon(known)
        return known, KNOWN if known.state in ENDED else ASKED_FOR
    handle = _handle_of(attempt, event)
    if handle is None:
        return attempt.job, NOT_OURS
    attempt.job.refresh_from_db()
    if not lost.take(attempt.job, attempt, handle, FOUND, source=Source.WEBHOOK):
        return attempt.job, MOVED
    job = _job_of(attempt, event) or attempt.job
    follow.follow_soon(job)
    return job, FOUND


def _job_of(attempt: Attempt, event: WebhookEvent) -> Job | None:
    """The job that a message names, of whichever connection to the same provider."""
    of_provider = Job.objects.filter(connection__provider=attempt.job.connection.provider)
    return of_provider.filter(request_id=event.id).first()


def _handle_of(attempt: Attempt, event: WebhookEvent) -> Handle | None:
    """The handle of the job that a message names; None if the account has no such job."""
    if not rate_limit.take_call(attempt.sent_by, reserve=rate_limit.DETAILS):
        raise RateLimitedError(NO_CALLS_LEFT.format(seconds=60))
    with adapter_for(attempt.sent_by) as adapter:
        handle = adapter.handle(attempt.job.trainer, event.id)
        try:
            adapter.poll(handle)
        except RequestRejectedError:
            return None
    return handle
