"""The types of the API, read tolerantly: many names for one id, three for one flag, text for numbers.

Unknown fields stay in `raw`. docs/provider-api.md, 10 and 15 list the known names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune_portal.providers.segmind.errors import InvalidResponseError
from finetune_portal.providers.segmind.json_body import parse

ID_NAMES = ("finetune_id", "request_id", "id", "job_id")
PUBLIC_NAMES = ("public_model", "segmind_public_model", "segmind_public")
MD5 = re.compile(r"^[0-9a-fA-F]{32}$")
CUSTOMER_KEY = "x-amz-server-side-encryption-customer-algorithm"
MAX_RAW = 64 * 1024  # bytes of JSON kept of one job
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
class StoredObject:
    """An uploaded object. `md5` is empty where its ETag is none (docs/provider-api.md, 14)."""

    etag: str
    md5: str

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> StoredObject:
        """Read the ETag. That of an object encrypted with a KMS or customer key only looks like an MD5."""
        etag = text(headers.get("ETag")).removeprefix("W/").strip('"')
        encryption = text(headers.get("x-amz-server-side-encryption")).lower()
        has_own_key = encryption.startswith("aws:kms") or bool(headers.get(CUSTOMER_KEY))
        return cls(etag, "" if has_own_key or not MD5.match(etag) else etag.lower())


@dataclass(frozen=True)
class FileSlice:
    """A part of a file of `total` bytes. `etag` and `modified` are the headers of the whole file."""

    content: bytes
    total: int
    etag: str
    modified: str


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
            raw=_capped(payload),
        )


ROOM_FOR_NAMES = 6000  # ten of 60 characters, each at most 6 bytes a character
LEFT_OUT = "left_out"  # in `raw`: the names of fields that are too large to keep


def _capped(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload in at most MAX_RAW bytes of JSON. The largest fields are left out, and named."""
    if len(json.dumps(payload)) <= MAX_RAW:
        return dict(payload)
    sizes = {name: len(json.dumps({name: value})) for name, value in payload.items()}
    kept, left_out, total = dict(payload), [], sum(sizes.values())
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if total <= MAX_RAW - ROOM_FOR_NAMES:
            break
        total -= sizes[name]
        del kept[name]
        left_out.append(name[:60])
    return {**kept, LEFT_OUT: left_out[:10]}


MAX_TEXT, MAX_ID, MAX_ADDRESS = 4096, 100, 2000


def ids_in(payload: Mapping[str, Any]) -> list[str]:
    """The ids under all their names, without those that are too long for a database column."""
    ids = (text(payload.get(name)) for name in ID_NAMES)
    return [each for each in ids if 0 < len(each) <= MAX_ID]


def text(value: Any) -> str:
    """Text without control characters, cut at 4 kB; numbers become text, everything else is empty."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    cut = str(value)[:MAX_TEXT]
    if cut.isprintable():  # nearly all, and a list may have 150,000 of them
        return cut.strip()
    return "".join(c for c in cut if c.isprintable() or c == "\n").strip()


def truth(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        parsed = float(value)
    except (ValueError, OverflowError):
        return None
    return parsed if abs(parsed) < 1e15 else None


def whole(value: Any) -> int | None:
    """A count; None for what is none or does not fit into a database column."""
    parsed = number(value)
    return int(parsed) if parsed is not None and 0 <= parsed < 2**31 else None


def mapping(value: Any) -> dict[str, Any]:
    """An object, or the JSON text of one; empty for everything else."""
    if isinstance(value, str):
        try:
            value = parse(value.encode("utf-8", "replace"))
        except InvalidResponseError:
            return {}
    return dict(value) if isinstance(value, dict) else {}
