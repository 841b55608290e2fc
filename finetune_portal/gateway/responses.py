"""The answers of the API, field by field as in docs/provider-api.md, from the portal's rows.

Ids are the portal's own. Other fields of Segmind's answer are passed on unchanged. A job of another provider
has Segmind's fields where they are true of it, Segmind's words for its status, and who trains what.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from finetune_portal.connections import trainers
from finetune_portal.gateway import upload_urls
from finetune_portal.gateway.offers import Offer
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.costs import approval_of
from finetune_portal.jobs.models import Job
from finetune_portal.providers.parameter import Parameter

Json = dict[str, Any]
INTERNAL_FIELDS = {
    "reached",
    "partial",
    "left_out",
}  # what jobs/sync/details.py adds to the provider's last answer
ID_NAMES = {"request_id", "job_id"}
DETAILS_ONLY = {"instance_prompt", "slug", "public_model", "created_ts", "updated_ts"}
STATUSES = {  # by the state of a job of another provider; before all of them it is REQUESTED
    State.DATA: "DATA_PROCESSING",
    State.TRAINING: "TRAINING_INITIATED",
    State.RUNNING: "TRAINING_INITIATED",
    State.TRAINED: "TRAINING_COMPLETED",
    State.DEPLOYING: "DEPLOYING",
    State.READY: "AVAILABLE",
    State.FAILED: "FAILED",
}
TYPES = {"whole": "integer", "number": "number", "flag": "boolean", "choice": "string", "text": "string"}
WAITING_FOR_APPROVAL = "WAITING_FOR_APPROVAL"  # the portal's own word
WAITS = "The job waits for the approval of an admin. When it is approved, it starts by itself."
LIST_ONLY = {"segmind_model_path", "advance_parameters", "segmind_public_model", "train_type", "theme"}


def submitted(job: Job) -> Json:
    """docs/provider-api.md, 1."""
    answer = {"status": _status(job), "finetune_id": str(job.form_key), "name": job.name}
    if job.state == State.APPROVAL and (approval := approval_of(job)):
        answer["message"] = f"{WAITS} {approval.reason}"
    return answer


def details(job: Job, base_url: str) -> Json:
    """docs/provider-api.md, 2."""
    return {
        **_provider_fields(job, without=LIST_ONLY),
        **_common(job, base_url),
        "instance_prompt": job.instance_prompt,
        "slug": job.run_slug,
        "public_model": _is_public(job),
        "dataset_warnings": job.dataset.warnings if job.dataset else [],
        "cloud_storage_url": _cloud_storage_url(job),
        "created_ts": _timestamp(job.created_at),
        "updated_ts": _timestamp(job.updated_at),
    }


def listed(job: Job, base_url: str) -> Json:
    """docs/provider-api.md, 3."""
    fields = _provider_fields(job, without=DETAILS_ONLY)
    theme = {} if job.trainer else {"theme": "KONTEXT"}
    return {
        **fields,
        **_common(job, base_url),
        "segmind_model_path": job.provider_data.get("segmind_model_path"),
        "advance_parameters": {
            **job.parameters,
            "steps": job.steps,
            "learning_rate": job.learning_rate,
            "prompt": job.instance_prompt,
            **theme,
        },
        "segmind_public_model": _is_public(job),
        "train_type": "LORA",
        "theme": theme.get("theme"),
        "cloud_storage_url": _cloud_storage_url(job),
        "model_information": fields.get("model_information") or {},
    }


def _common(job: Job, base_url: str) -> Json:
    return {
        "id": str(job.form_key),
        "finetune_id": str(job.form_key),
        "name": job.name,
        "project": job.project.name if job.project else None,
        "data_source_path": _data_source_path(job, base_url),
        "status": _status(job),
        "error_message": _error(job),
        **(_at_segmind(job) if job.is_at_segmind else _elsewhere(job)),
    }


def _at_segmind(job: Job) -> Json:
    return {
        "source_type": job.provider_data.get("source_type") or "AWS_S3",
        "base_model": job.provider_data.get("base_model") or job.trainer or "FLUX",
    }


def _elsewhere(job: Job) -> Json:
    return {
        "source_type": None,
        "base_model": trainers.base_model_of(job.trainer),
        "trainer": job.trainer,
        "provider": job.connection.provider,
        "connection": job.connection.name,
        "provider_status": job.provider_status or None,
    }


def trainer(offer: Offer) -> Json:
    """A row of the trainers."""
    return {
        "connection": offer.connection.name,
        "provider": offer.provider,
        "trainer": offer.id,
        "title": offer.trainer.title,
        "base_model": offer.trainer.base_model,
        "licence": offer.trainer.licence,
        "most_inputs": offer.trainer.most_inputs,
        "availability": offer.availability,
        "is_default": offer.is_default,
        "parameters": [_parameter(each) for each in offer.parameters],
    }


def _parameter(parameter: Parameter) -> Json:
    has_bounds = parameter.type in ("whole", "number")
    return {
        "name": parameter.name,
        "type": TYPES.get(parameter.type, parameter.type),
        "minimum": parameter.least if has_bounds else None,
        "maximum": parameter.most if has_bounds else None,
        "step": parameter.step or None,
        "choices": list(parameter.choices) or None,
        "default": parameter.default,
        "help": parameter.help,
    }


def _provider_fields(job: Job, *, without: set[str]) -> Json:
    if not job.is_at_segmind:
        return {}
    return {
        name: value
        for name, value in job.provider_data.items()
        if name not in INTERNAL_FIELDS | ID_NAMES | without
    }


def _status(job: Job) -> str:
    """Segmind's own status, or the first one while it has none."""
    if job.state in (State.REFUSED, State.CLOSED):
        return "FAILED"
    if job.state == State.APPROVAL:
        return WAITING_FOR_APPROVAL
    if not job.is_at_segmind:
        return STATUSES.get(State(job.state), "REQUESTED")
    return job.provider_status or "REQUESTED"


def _error(job: Job) -> str | None:
    if job.state == State.CLOSED:
        return job.error or "It was withdrawn before it was sent."
    return job.error if job.state in (State.FAILED, State.REFUSED) and job.error else None


def _cloud_storage_url(job: Job) -> str | None:
    """By which the API downloads the file; none of a model that was deleted here."""
    return None if job.model_deleted_at else job.cloud_storage_url or None


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
