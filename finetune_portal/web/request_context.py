"""Where the request that is being answered came from, for the record and the log: an id, an address, and the
name of the access token where it came with one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from finetune_portal.web.client_ip import address_of

Answer = Callable[[HttpRequest], HttpResponseBase]


@dataclass(frozen=True)
class Origin:
    """Empty where no request is answered, as in the worker."""

    request_id: str = ""
    address: str = ""
    token: str = ""


NOWHERE = Origin()
_origin = ContextVar("origin", default=NOWHERE)


def current() -> Origin:
    return _origin.get()


@contextmanager
def by_token(name: str) -> Iterator[None]:
    """What is done meanwhile is done by this access token of its person."""
    before = _origin.set(replace(current(), token=name))
    try:
        yield
    finally:
        _origin.reset(before)


@contextmanager
def answering(request: HttpRequest) -> Iterator[Origin]:
    """Around all that is done for this request."""
    origin = Origin(uuid.uuid4().hex[:16], address_of(request))
    before = _origin.set(origin)
    try:
        yield origin
    finally:
        _origin.reset(before)


def remember_origin(get_response: Answer) -> Answer:
    """Middleware. The answer carries the id, so that a person can name it to an operator."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with answering(request) as origin:
            response = get_response(request)
        response.headers["X-Request-ID"] = origin.request_id
        return response

    return middleware
