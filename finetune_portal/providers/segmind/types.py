"""The types of the API, read tolerantly: many names for one id, three for one flag, text for numbers.

Unknown fields stay in `raw`. docs/provider-api.md, 10 and 15 list the known names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune_portal.providers.http.values import capped, mapping, number, text, truth, whole

ID_NAMES = ("finetune_id", "request_id", "id", "job_id")
PUBLIC_NAMES = ("public_model", "segmind_public_model", "segmind_public")
PHASES = {
    "REQUESTED": "requested",
    "QUEUED": "requested",
    "RETRIED": "requested",
    "DATA_PROCESSING": "data",
    "TRAINING_INITIATED": "training",
    "TRAINING_COMPLETED": "trained",
    "INFERENCE_QUEUED": "deploying",
    "DEPLOYING": "deploying",
    "AVAILABLE": "available",
    "FAILED": "failed",
}


def phase(status: str) -> str:
    """The phase that a raw status means; treat `unknown` as running."""
    word = status.strip().upper()
    if word not in PHASES and any(bad in word for bad in ("FAIL", "ERROR", "CANCEL")):
        return "failed"
    return PHASES.get(word, "unknown")


@dataclass(frozen=True)
class SubmitRequest:
    """The body of a submit (docs/provider-api.md, 1). `extra` is added to `advance_parameters` unchanged."""

    name: str
    data_source_path: str
    instance_prompt: str
    learning_rate: float
    steps: int
    public: bool = False
    machine_type: str = "NVIDIA_H100"
    base_model: str = "FLUX"
    extra: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "data_source_path": self.data_source_path,
            "instance_prompt": self.instance_prompt,
            "base_model": self.base_model,
            "train_type": "LORA",
            "machine_type": self.machine_type,
            **({"theme": "KONTEXT"} if self.base_model == "FLUX" else {}),
            "segmind_public": self.public,
            "advance_parameters": {
                "learning_rate": self.learning_rate,
                "steps": self.steps,
                **self.extra,
            },
        }


@dataclass(frozen=True)
class Submitted:
    """The answer to an accepted submit."""

    request_id: str
    status: str
    name: str


@dataclass(frozen=True)
class PresignedUpload:
    """Where to PUT the ZIP, and what to submit as `data_source_path`, verbatim (docs/provider-api.md, 4)."""

    presigned_url: str = field(repr=False)
    s3_url: str


@dataclass(frozen=True)
class Credits:
    """The balance in US dollars."""

    credits: float
    free_credits: float


@dataclass(frozen=True)
class FineTune:
    """A training as the list or the details show it. Only the details have slug, prompt and times."""

    id: str
    ids: frozenset[str]
    name: str
    status: str
    error_message: str
    public: bool
    slug: str
    cloud_storage_url: str
    data_source_path: str
    instance_prompt: str
    learning_rate: float | None
    steps: int | None
    advance_parameters: dict[str, Any]
    base_model: str
    theme: str
    created_at: str
    updated_at: str
    model_information: dict[str, Any]
    raw: dict[str, Any]

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> FineTune | None:
        """None if there is no id."""
        ids = ids_in(payload)
        if not ids:
            return None
        advanced = mapping(payload.get("advance_parameters"))
        return cls(
            id=ids[0],
            ids=frozenset(ids),
            name=text(payload.get("name")),
            status=text(payload.get("status")),
            error_message=text(payload.get("error_message")),
            public=any(truth(payload.get(name)) for name in PUBLIC_NAMES),
            slug=text(payload.get("slug")),
            cloud_storage_url=text(payload.get("cloud_storage_url")),
            data_source_path=text(payload.get("data_source_path")),
            instance_prompt=text(payload.get("instance_prompt")),
            learning_rate=number(advanced.get("learning_rate")),
            steps=whole(advanced.get("steps")),
            advance_parameters=advanced,
            base_model=text(payload.get("base_model")),
            theme=text(payload.get("theme")),
            created_at=text(payload.get("created_ts")),
            updated_at=text(payload.get("updated_ts")),
            model_information=mapping(payload.get("model_information")),
            raw=capped(payload),
        )


MAX_ID, MAX_ADDRESS = 100, 2000


def ids_in(payload: Mapping[str, Any]) -> list[str]:
    """The ids under all their names, without those that are too long for a database column."""
    ids = (text(payload.get(name)) for name in ID_NAMES)
    return [each for each in ids if 0 < len(each) <= MAX_ID]
