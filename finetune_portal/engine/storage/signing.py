"""Signed URLs: each allows one thing with one object until it expires.

The query has the names that S3 uses: those of Signature V4 for uploads, of V2 for downloads, as
docs/provider-api.md, 14 has them. The signature itself is a plain HMAC-SHA256 of our own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

ALGORITHM = "AWS4-HMAC-SHA256"
KEY_ID = "LOCALENGINE"
_STAMP = "%Y%m%dT%H%M%SZ"
_UPLOAD_NAMES = {"X-Amz-Algorithm", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"}
_DOWNLOAD_NAMES = {"AWSAccessKeyId", "Signature", "Expires"}


class AccessDeniedError(Exception):
    """Says why a URL is refused, in S3's words: a code and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def upload_query(secret: str, key: str, now: datetime, seconds: int) -> str:
    stamp = now.astimezone(UTC).strftime(_STAMP)
    return urlencode(
        {
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "host",
            "X-Amz-Signature": _sign(secret, "PUT", key, stamp, str(seconds)).hex(),
        }
    )


def download_query(secret: str, key: str, now: datetime, seconds: int) -> str:
    expires = str(int(now.timestamp()) + seconds)
    signature = base64.b64encode(_sign(secret, "GET", key, expires)).decode()
    return urlencode({"AWSAccessKeyId": KEY_ID, "Signature": signature, "Expires": expires})


def check(secret: str, method: str, key: str, query: str, now: datetime) -> None:
    """Raise AccessDeniedError unless this query allows this method on this object now."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=10)
    except ValueError:
        raise AccessDeniedError("AccessDenied", "The query cannot be read.") from None
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise AccessDeniedError("AccessDenied", "A query parameter is given twice.")
    if parameters.keys() == _UPLOAD_NAMES:
        expires = _check_upload(secret, method, key, parameters)
    elif parameters.keys() == _DOWNLOAD_NAMES:
        expires = _check_download(secret, method, key, parameters)
    else:
        raise AccessDeniedError("AccessDenied", "Access Denied")
    if now.timestamp() >= expires:
        raise AccessDeniedError("AccessDenied", "Request has expired")


def _check_upload(secret: str, method: str, key: str, parameters: Mapping[str, str]) -> float:
    signed = _sign(secret, method, key, parameters["X-Amz-Date"], parameters["X-Amz-Expires"]).hex()
    fixed = parameters["X-Amz-Algorithm"] == ALGORITHM and parameters["X-Amz-SignedHeaders"] == "host"
    if method != "PUT" or not fixed or not _same(signed, parameters["X-Amz-Signature"]):
        raise _mismatch()
    made = datetime.strptime(parameters["X-Amz-Date"], _STAMP).replace(tzinfo=UTC)
    return made.timestamp() + int(parameters["X-Amz-Expires"])


def _check_download(secret: str, method: str, key: str, parameters: Mapping[str, str]) -> float:
    verb = "GET" if method == "HEAD" else method
    signed = base64.b64encode(_sign(secret, verb, key, parameters["Expires"])).decode()
    if verb != "GET" or parameters["AWSAccessKeyId"] != KEY_ID or not _same(signed, parameters["Signature"]):
        raise _mismatch()
    return float(parameters["Expires"])


def _mismatch() -> AccessDeniedError:
    return AccessDeniedError(
        "SignatureDoesNotMatch", "The request signature does not match this method, object and time."
    )


def _same(ours: str, theirs: str) -> bool:
    return hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "surrogatepass"))


def _sign(secret: str, *parts: str) -> bytes:
    text = "\n".join(parts).encode("utf-8", "surrogatepass")
    return hmac.new(secret.encode(), text, hashlib.sha256).digest()
