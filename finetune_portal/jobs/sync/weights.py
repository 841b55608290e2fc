"""The model file of a job at its provider: a link to it, and what reads the file behind the link."""

from __future__ import annotations

from finetune_portal.connections.client import adapter_for, adapter_for_user_action
from finetune_portal.jobs.models import Job
from finetune_portal.providers.contract import ResultFile
from finetune_portal.providers.http.files import Files

ROLE = "weights"


def link_to(job: Job, *, somebody_waits: bool) -> tuple[str, Files]:
    """A link that needs no key and may expire within an hour. Raises a CallError.

    `somebody_waits`: it may take the account's last call.
    """
    with (adapter_for_user_action if somebody_waits else adapter_for)(job.connection) as adapter:
        return adapter.file_link(file_of(job)), adapter.files


def file_of(job: Job) -> ResultFile:
    """The model file as its provider named it."""
    return ResultFile(ROLE, job.cloud_storage_url)
