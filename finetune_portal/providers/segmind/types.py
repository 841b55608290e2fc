"""The values of the API, read tolerantly: many names for one id, three for one flag, text for numbers.

Unknown fields stay in `raw`. What is known of the field names is in docs/provider-api.md, 10 and 15.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune_portal.providers.segmind.errors import InvalidResponseError
from finetune_portal.providers.segmind.reading import parse

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
    """The stage that a raw status means; `unknown` is to be treated as running."""
    word = status.strip().upper()
    if word not in PHASES and any(bad in word for bad in ("FAIL", "ERROR", "CANCEL")):
        return "failed"
    return PHASES.get(word, "unknown")


@dataclass(frozen=True)
class SubmitRequest:
    """The body of a submit (docs/provider-api.md, 1). `extra` goes into `advance_parameters` as it is."""

    name: str
    data_source_path: str
    instance_prompt: str
    learning_rate: float
    steps: int
    public: bool = False
    machine_type: str = "NVIDIA_H100"
    extra: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "data_source_path": self.data_source_path,
            "instance_prompt": self.instance_prompt,
            "base_model": "FLUX",
            "train_type": "LORA",
            "machine_type": self.machine_type,
            "theme": "KONTEXT",
            "segmind_public": self.public,
            "advance_parameters": {
                "learning_rate": self.learning_rate,
                "steps": self.steps,
                **self.extra,
            },
        }


@dataclass(frozen=True)
class Submitted:
    """A submit that was taken."""

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
    """A training as the list or the details tell it. Only details has slug, prompt and times."""

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
    base_model: str
    theme: str
    created_at: str
    updated_at: str
    model_information: dict[str, Any]
    raw: dict[str, Any]

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> FineTune | None:
        """None when there is no id to know it by."""
        ids = ids_in(told)
        if not ids:
            return None
        advanced = mapping(told.get("advance_parameters"))
        return cls(
            id=ids[0],
            ids=frozenset(ids),
            name=text(told.get("name")),
            status=text(told.get("status")),
            error_message=text(told.get("error_message")),
            public=any(truth(told.get(name)) for name in PUBLIC_NAMES),
            slug=text(told.get("slug")),
            cloud_storage_url=text(told.get("cloud_storage_url")),
            data_source_path=text(told.get("data_source_path")),
            instance_prompt=text(told.get("instance_prompt")),
            learning_rate=number(advanced.get("learning_rate")),
            steps=whole(advanced.get("steps")),
            base_model=text(told.get("base_model")),
            theme=text(told.get("theme")),
            created_at=text(told.get("created_ts")),
            updated_at=text(told.get("updated_ts")),
            model_information=mapping(told.get("model_information")),
            raw=dict(told),
        )


MAX_TEXT, MAX_ID, MAX_ADDRESS = 4096, 100, 2000


def ids_in(told: Mapping[str, Any]) -> list[str]:
    """By all its names; what is too long to be one, and for a database column, is none."""
    found = (text(told.get(name)) for name in ID_NAMES)
    return [each for each in found if 0 < len(each) <= MAX_ID]


def text(value: Any) -> str:
    """Text without control characters, cut at 4 kB; numbers become text, all else is empty."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return "".join(c for c in str(value)[:MAX_TEXT] if c.isprintable() or c == "\n").strip()


def truth(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < 1e15 else None


def whole(value: Any) -> int | None:
    """A count; what cannot be one in a database column is None."""
    found = number(value)
    return int(found) if found is not None and 0 <= found < 2**31 else None


def mapping(value: Any) -> dict[str, Any]:
    """An object, or the JSON text of one."""
    if isinstance(value, str):
        try:
            value = parse(value.encode("utf-8", "replace"))
        except InvalidResponseError:
            return {}
    return dict(value) if isinstance(value, dict) else {}
