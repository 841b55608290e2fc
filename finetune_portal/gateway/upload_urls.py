"""The addresses of an upload: the stable one that names the dataset, and the signed one to PUT it to.

Nothing is stored for an address. The dataset's row is made when its bytes come.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

from django.conf import settings
from django.core import signing
from django.http.request import validate_host
from django.urls import reverse

UPLOADS = "/finetune/uploads/"
SECONDS = 3600
SALT = "finetune_portal.gateway.upload_urls"
PATH = re.compile(re.escape(UPLOADS) + r"([0-9a-f-]{36})/")


@dataclass(frozen=True)
class Permit:
    """What a signed address allows: the holder of this token to bring this file, once."""

    key: uuid.UUID
    token: int
    filename: str


def stable(base_url: str, key: uuid.UUID, filename: str) -> str:
    """`s3_url`: to be given as `data_source_path`."""
    return base_url + reverse("gateway:uploaded", args=[key, filename])


def signed(base_url: str, permit: Permit) -> str:
    """`presigned_url`, good for an hour."""
    told = signing.dumps([str(permit.key), permit.token, permit.filename], salt=SALT)
    return f"{stable(base_url, permit.key, permit.filename)}?{urlencode({'signature': told})}"


def read(path: str, query: str) -> Permit | None:
    """What the address allows; None if it is none of ours, too old, or was changed."""
    try:
        told = parse_qs(query, max_num_fields=10).get("signature", [""])[0]
        key, token, filename = signing.loads(told, salt=SALT, max_age=SECONDS)
    except (signing.BadSignature, ValueError):
        return None
    return Permit(uuid.UUID(key), token, filename) if key == key_in(path) else None


def key_in(path: str) -> str:
    found = PATH.match(path)
    return found[1] if found else ""


def dataset_key(url: str) -> uuid.UUID | None:
    """The dataset that one of our own addresses names; None for any other address."""
    try:
        parts = urlsplit(url)
        ours = validate_host(parts.hostname or "", settings.ALLOWED_HOSTS)
        return uuid.UUID(key_in(parts.path)) if ours else None
    except ValueError:
        return None
