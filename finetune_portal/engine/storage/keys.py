"""The keys of stored objects, their paths on disk and their URLs.

- An upload: `uploads/{user}/{file_id}-{filename}.zip` (docs/provider-api.md, 14).
- Weights: `finetune/finetuned_models/{job_id}/{filename}` (docs/provider-api.md, 14).
- A file that a training reads or writes: `trainings/{job_id}/{filename}`.
- An input image for a finished model: `assets/{sha256}`.

No key has another form, so none can lead out of the folder.
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
    """What a signature of the key covers: this object, or all files of a training together."""
    match = TRAINING.fullmatch(key)
    return match["folder"] if match else key


def path(storage: Path, key: str) -> Path:
    if not is_valid(key):
        raise ValueError("not the name of a stored object")
    return storage / key


def url(base_url: str, key: str) -> str:
    return f"{base_url}{PREFIX}{key}"


def from_url(address: str) -> str:
    """The key in a URL of this storage, whatever its host; empty if it is no such URL."""
    try:
        path = urlsplit(address).path
    except ValueError:
        return ""
    key = path.removeprefix(PREFIX)
    return key if path.startswith(PREFIX) and is_valid(key) else ""
