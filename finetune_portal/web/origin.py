"""Where the request that is being answered came from, for the record and the log: an id and an address."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from finetune_portal.web.clients import address_of

Answer = Callable[[HttpRequest], HttpResponseBase]


@dataclass(frozen=True)
class Origin:
    """Empty where no request is answered, as in the worker."""

    request_id: str = ""
    address: str = ""


NOWHERE = Origin()
_origin = ContextVar("origin", default=NOWHERE)


def current() -> Origin:
    return _origin.get()


def remember_origin(get_response: Answer) -> Answer:
    """Middleware. The answer carries the id, so that a person can name it to an operator."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        origin = Origin(uuid.uuid4().hex[:16], address_of(request))
        token = _origin.set(origin)
        try:
            response = get_response(request)
        finally:
            _origin.reset(token)
        response.headers["X-Request-ID"] = origin.request_id
        return response

    return middleware
