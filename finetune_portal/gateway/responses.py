"""The answers of the API, field by field as in docs/provider-api.md, from the portal's rows.

Ids are the portal's own. Other fields of the provider's answer are passed on unchanged.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from finetune_portal.gateway import upload_urls
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job

Json = dict[str, Any]
INTERNAL_FIELDS = {
    "reached",
    "partial",
    "left_out",
}  # what jobs/sync/details.py adds to the provider's last answer
ID_NAMES = {"request_id", "job_id"}
DETAILS_ONLY = {"instance_prompt", "slug", "public_model", "created_ts", "updated_ts"}
LIST_ONLY = {"segmind_model_path", "advance_parameters", "segmind_public_model", "train_type", "theme"}


def submitted(job: Job) -> Json:
    """docs/provider-api.md, 1."""
    return {"status": _status(job), "finetune_id": str(job.form_key), "name": job.name}


def details(job: Job, base_url: str) -> Json:
    """docs/provider-api.md, 2."""
    return {
        **_provider_fields(job, without=LIST_ONLY),
        **_common(job, base_url),
        "instance_prompt": job.instance_prompt,
        "slug": job.slug,
        "public_model": _is_public(job),
        "dataset_warnings": job.dataset.warnings if job.dataset else [],
        "cloud_storage_url": job.cloud_storage_url or None,
        "created_ts": _timestamp(job.created_at),
        "updated_ts": _timestamp(job.updated_at),
    }


def listed(job: Job, base_url: str) -> Json:
    """docs/provider-api.md, 3."""
    fields = _provider_fields(job, without=DETAILS_ONLY)
    advanced = {"prompt": job.instance_prompt, "theme": "KONTEXT"}
    return {
        **fields,
        **_common(job, base_url),
        "segmind_model_path": job.provider_data.get("segmind_model_path"),
        "advance_parameters": {
            **job.parameters,
            "steps": job.steps,
            "learning_rate": job.learning_rate,
            **advanced,
        },
        "segmind_public_model": _is_public(job),
        "train_type": "LORA",
        "theme": "KONTEXT",
        "cloud_storage_url": job.cloud_storage_url or None,
        "model_information": fields.get("model_information") or {},
    }


def _common(job: Job, base_url: str) -> Json:
    return {
        "id": str(job.form_key),
        "finetune_id": str(job.form_key),
        "name": job.name,
        "data_source_path": _data_source_path(job, base_url),
        "status": _status(job),
        "error_message": _error(job),
        "source_type": job.provider_data.get("source_type") or "AWS_S3",
        "base_model": job.provider_data.get("base_model") or "FLUX",
    }


def _provider_fields(job: Job, *, without: set[str]) -> Json:
    return {
        name: value
        for name, value in job.provider_data.items()
        if name not in INTERNAL_FIELDS | ID_NAMES | without
    }


def _status(job: Job) -> str:
    """The provider's own status, or the first one while it has none."""
    if job.state in (State.REFUSED, State.CLOSED):
        return "FAILED"
    return job.provider_status or "REQUESTED"


def _error(job: Job) -> str | None:
    if job.state == State.CLOSED:
        return job.error or "It was withdrawn before it was sent."
    return job.error if job.state in (State.FAILED, State.REFUSED) and job.error else None


def _is_public(job: Job) -> bool:
    return job.is_public if job.request_id else job.wants_public


def _data_source_path(job: Job, base_url: str) -> str:
    """A URL that can be submitted again."""
    if job.dataset is None:
        return str(job.provider_data.get("data_source_path") or "")
    own = upload_urls.s3_url(base_url, job.dataset.key, job.dataset.filename)
    return job.dataset.source_url or own


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
