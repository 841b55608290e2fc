"""Names of stored objects, their place on disk and their URLs.

An upload is `uploads/{user}/{file_id}-{filename}.zip`, weights are
`finetune/finetuned_models/{job_id}/{filename}` (docs/provider-api.md, 14), what a training reads and writes
is `trainings/{job_id}/{filename}`, a picture to run models on is `assets/{sha256}`. Only names of these forms
exist, so no name can lead out of the folder.
"""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from urllib.parse import urlsplit

PREFIX = "/storage/"
USER = "local"  # there is one key, so there is one user
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_FILE = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
UPLOAD = re.compile(rf"uploads/{USER}/{_UUID}-{_FILE}\.zip")
WEIGHTS = re.compile(rf"finetune/finetuned_models/{_UUID}/{_FILE}\.safetensors")
TRAINING = re.compile(
    rf"(?P<folder>trainings/{_UUID})/"
    r"(?:dataset\.zip|checkpoint\.pt|weights\.safetensors|(?:control|target|sample-[0-9]+)\.png)"
)
ASSET = re.compile(r"assets/[0-9a-f]{64}")


def new_upload(name: str) -> str:
    """Return a fresh key (docs/provider-api.md, 4). Names from the SDK already end in `.zip`."""
    stem = re.sub(r"\.zip$", "", name, flags=re.IGNORECASE)
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.")[:100] or "dataset"
    return f"uploads/{USER}/{uuid.uuid4()}-{stem}.zip"


def weights_folder(job_id: uuid.UUID) -> str:
    return f"finetune/finetuned_models/{job_id}"


def training_folder(job_id: uuid.UUID) -> str:
    return f"trainings/{job_id}"


def is_valid(key: str) -> bool:
    return any(form.fullmatch(key) for form in (UPLOAD, WEIGHTS, TRAINING, ASSET))


def signed(key: str) -> str:
    """What a signature is for: this object, but all files of a training have one together."""
    found = TRAINING.fullmatch(key)
    return found["folder"] if found else key


def path(storage: Path, key: str) -> Path:
    if not is_valid(key):
        raise ValueError("not the name of a stored object")
    return storage / key


def url(base_url: str, key: str) -> str:
    return f"{base_url}{PREFIX}{key}"


def from_url(address: str) -> str:
    """The key in one of our own URLs, whatever host it was reached by; empty if it is not of that form."""
    try:
        place = urlsplit(address).path
    except ValueError:
        return ""
    key = place.removeprefix(PREFIX)
    return key if place.startswith(PREFIX) and is_valid(key) else ""
