"""What is sent to a provider for a job: the same fields for each, in the types of the contract."""

from __future__ import annotations

from finetune_portal.connections import declared, trainers
from finetune_portal.connections.client import adapter_for
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Attempt, Job
from finetune_portal.jobs.sync import webhook_address
from finetune_portal.providers.contract import Adapter, Handle, JobRequest, StoredDataset


def next_request(job: Job) -> JobRequest | None:
    """The request of the next attempt, with an address of the dataset that no other attempt has.

    None if the provider has no dataset. Raises a CallError where the address cannot be had.
    """
    stored = Dataset.objects.get(jobs=job).s3_url_for(job.connection)
    if not stored:
        return None
    if declared.lists_jobs(
        job.connection
    ):  # by its name, which has the nonce of the job, whatever the attempt
        return _request(job, job.nonce, stored)
    nonce = f"{job.nonce}-{job.submit_attempts.count() + 1}"
    with adapter_for(job.connection) as adapter:
        address = adapter.dataset_address(StoredDataset(stored), nonce)
        return _request(job, nonce, address, webhook_address.address_for(job.connection, adapter, nonce))


def of_attempt(job: Job, attempt: Attempt, adapter: Adapter) -> JobRequest:
    """The request as that attempt sent it."""
    webhook = webhook_address.address_for(job.connection, adapter, attempt.nonce)
    return _request(job, attempt.nonce, attempt.dataset_address, webhook)


def handle_of(job: Job) -> Handle:
    """How to ask the provider for the job."""
    return Handle(str(job.request_id), job.provider_addresses)


def _request(job: Job, nonce: str, dataset: str, webhook: str = "") -> JobRequest:
    trainer = trainers.find(job.connection, job.trainer)
    fixed = {each.name: each.least for each in trainer.parameters if each.is_fixed} if trainer else {}
    return JobRequest(
        trainer=job.trainer,
        name=job.name_at_provider,
        nonce=nonce,
        dataset=dataset,
        prompt=job.instance_prompt,
        learning_rate=fixed.get("learning_rate", job.learning_rate or 0.0),
        steps=int(fixed.get("steps", job.steps or 0)),
        parameters=job.parameters,
        is_public=job.wants_public,
        webhook=webhook,
    )
