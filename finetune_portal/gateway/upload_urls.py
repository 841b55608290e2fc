"""The URLs of an upload: `s3_url`, which names the dataset, and `presigned_url`, to PUT it to.

Nothing is stored for a URL. The dataset's row is created when its bytes arrive.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from django.conf import settings
from django.core import signing
from django.http.request import validate_host
from django.urls import reverse

UPLOADS = "/finetune/uploads/"
MAX_AGE = 3600
SALT = "finetune_portal.gateway.addresses"  # kept, so that URLs stay valid through an upgrade
PATH = re.compile(re.escape(UPLOADS) + r"([0-9a-f-]{36})/")


@dataclass(frozen=True)
class UploadGrant:
    """What a presigned URL allows: the owner of this token uploads this file, once."""

    key: uuid.UUID
    token: int
    filename: str


def s3_url(base_url: str, key: uuid.UUID, filename: str) -> str:
    """The URL to submit as `data_source_path`."""
    return urljoin(base_url, reverse("gateway:uploaded", args=[key, filename]))


def presigned_url(base_url: str, grant: UploadGrant) -> str:
    """The URL to PUT the file to, valid for an hour."""
    signature = signing.dumps([str(grant.key), grant.token, grant.filename], salt=SALT)
    return f"{s3_url(base_url, grant.key, grant.filename)}?{urlencode({'signature': signature})}"


def read_grant(path: str, query: str) -> UploadGrant | None:
    """What the URL allows; None if it is not one of ours, too old, or changed."""
    try:
        signature = parse_qs(query, max_num_fields=10).get("signature", [""])[0]
        key, token, filename = signing.loads(signature, salt=SALT, max_age=MAX_AGE)
    except (signing.BadSignature, ValueError):
        return None
    return UploadGrant(uuid.UUID(key), token, filename) if key == key_in(path) else None


def key_in(path: str) -> str:
    match = PATH.search(path)  # a proxy may serve the portal under a path
    return match[1] if match else ""


def dataset_key(url: str) -> uuid.UUID | None:
    """The key of the dataset that one of our own URLs names; None for any other URL."""
    try:
        parts = urlsplit(url)
        is_own = validate_host(parts.hostname or "", settings.ALLOWED_HOSTS)
        return uuid.UUID(key_in(parts.path)) if is_own else None
    except ValueError:
        return None
