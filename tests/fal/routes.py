"""The calls of fal's hosts: their addresses, which key they ask for, and who answers them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from tests.fal import files, platform, queue, webhooks
from tests.fal.request import FalRequest
from tests.provider.exchange import Answer

if TYPE_CHECKING:
    from tests.fal.server import FakeFal

JOB = r"/.+/requests/[^/]+"
FILE = r"/files/b/\w+/[^/]+"


class Call(NamedTuple):
    """One call. `key`: api, admin, token (of the CDN), or empty for none."""

    name: str
    service: str
    method: str
    path: str
    key: str
    answer: Callable[[FakeFal, FalRequest], Answer]


CALLS = (
    Call("status", "queue", "GET", f"{JOB}/status", "api", queue.status),
    Call("stream", "queue", "GET", f"{JOB}/status/stream", "api", queue.stream),
    Call("result", "queue", "GET", f"{JOB}(/response)?", "api", queue.result),
    Call("cancel", "queue", "PUT", f"{JOB}/cancel", "api", queue.cancel),
    Call("submit", "queue", "POST", r"/.+", "api", queue.submit),
    Call("token", "rest", "POST", "/storage/auth/token", "api", files.token),
    Call("initiate", "rest", "POST", "/storage/upload/initiate(-multipart)?", "api", files.initiate),
    Call("jwks", "rest", "GET", r"/\.well-known/jwks\.json", "", webhooks.jwks),
    Call("upload", "cdn", "POST", "/files/upload", "token", files.upload),
    Call("multipart", "cdn", "POST", "/files/upload/multipart", "token", files.multipart),
    Call("put", "cdn", "PUT", FILE, "", files.put),
    Call("part", "cdn", "PUT", rf"{FILE}(/multipart/\w+)?/\d+", "", files.part),
    Call("complete", "cdn", "POST", rf"{FILE}(/multipart/\w+)?/complete", "", files.complete),
    Call("download", "cdn", "GET", FILE, "", files.download),
    Call("models", "api", "GET", "/v1/models", "", platform.models),
    Call("pricing", "api", "GET", "/v1/models/pricing", "api", platform.pricing),
    Call("estimate", "api", "POST", "/v1/models/pricing/estimate", "api", platform.estimate),
    Call("history", "api", "GET", "/v1/models/requests/by-endpoint", "api", platform.history),
    Call("search", "api", "GET", "/v1/models/requests/search", "api", platform.search),
    Call("billing_events", "api", "GET", "/v1/models/billing-events", "admin", platform.billing_events),
    Call("billing", "api", "GET", "/v1/account/billing", "admin", platform.billing),
    Call("sign", "api", "POST", "/v1/storage/files/sign", "api", files.sign),
    Call("meta", "api", "GET", "/v1/meta", "", platform.meta),
)
NAMES = {call.name for call in CALLS}


def call_of(request: FalRequest) -> Call | None:
    """The call that this request is; None for what fal does not have."""
    for call in CALLS:
        is_meant = (call.service, call.method) == (request.service, request.method)
        if is_meant and re.fullmatch(call.path, request.path):
            return call
    return None
