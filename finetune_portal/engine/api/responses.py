"""The JSON bodies of the responses, key by key as docs/provider-api.md has them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from finetune_portal.engine import job_urls
from finetune_portal.engine.models import Job
from finetune_portal.engine.trainers.current import current_trainer

Body = dict[str, Any]


def submitted(job: Job) -> Body:
    """The answer to a submit (docs/provider-api.md, 1)."""
    return {"status": job.state, "finetune_id": str(job.id), "name": job.name}


def details(job: Job, base_url: str) -> Body:
    """One job (docs/provider-api.md, 2). The engine adds model_information."""
    return {
        "id": str(job.id),
        "finetune_id": str(job.id),
        "name": job.name,
        "data_source_path": job.data_source_path,
        "instance_prompt": job.instance_prompt,
        "status": job.state,
        "source_type": "AWS_S3",
        "base_model": job.base_model or "FLUX",
        "slug": job_urls.slug(job),
        "public_model": job.is_public,
        "error_message": job.error_message or None,
        "cloud_storage_url": job_urls.weights_url(job, base_url),
        "created_ts": _timestamp(job.created_at),
        "updated_ts": _timestamp(job.updated_at),
        "model_information": model_information(job),
    }


def listed(job: Job) -> Body:
    """One job of the list (docs/provider-api.md, 3). The weights' address is null here."""
    return {
        "id": str(job.id),
        "data_source_path": job.data_source_path,
        "name": job.name,
        "status": job.state,
        "error_message": job.error_message or None,
        "segmind_model_path": None,
        "advance_parameters": {
            **job.parameters,
            "steps": job.steps,
            "learning_rate": job.learning_rate,
            "prompt": job.instance_prompt,
            "theme": _theme(job),
        },
        "segmind_public_model": job.is_public,
        "train_type": "LORA",
        "source_type": "AWS_S3",
        "base_model": job.base_model or "FLUX",
        "theme": _theme(job),
        "cloud_storage_url": None,
        "finetune_id": str(job.id),
        "model_information": model_information(job),
    }


def model_information(job: Job) -> Body:
    """How the weights are made; above all, whether they are simulated."""
    return {
        **(job.trained_by or current_trainer().about(job.base_model)),
        "pairs": job.pairs or None,
        "dataset_sha256": job.dataset_sha256 or None,
        "price": job.price,
    }


def _theme(job: Job) -> str:
    """The vendor's word for the one base model that it names."""
    return "" if job.base_model else "KONTEXT"


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
