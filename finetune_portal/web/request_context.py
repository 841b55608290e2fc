"""The request that is being answered: its id, the client's address, the personal token. For audit and log."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from finetune_portal.web.client_ip import client_ip

GetResponse = Callable[[HttpRequest], HttpResponseBase]


@dataclass(frozen=True)
class RequestContext:
    """All fields are empty where no request is answered, as in the worker. `token` is the token's name."""

    request_id: str = ""
    address: str = ""
    token: str = ""


NO_REQUEST = RequestContext()
_context = ContextVar("request_context", default=NO_REQUEST)


def current() -> RequestContext:
    return _context.get()


@contextmanager
def acting_with_token(name: str) -> Iterator[None]:
    """Attribute what happens in the block to the personal token of this name."""
    reset = _context.set(replace(current(), token=name))
    try:
        yield
    finally:
        _context.reset(reset)


@contextmanager
def bind_request(request: HttpRequest) -> Iterator[RequestContext]:
    """Make `current()` describe this request inside the block, under a new id."""
    context = RequestContext(uuid.uuid4().hex[:16], client_ip(request))
    reset = _context.set(context)
    try:
        yield context
    finally:
        _context.reset(reset)


def request_context_middleware(get_response: GetResponse) -> GetResponse:
    """Bind each request, and send its id in X-Request-ID, so that a person can quote it to an operator."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with bind_request(request) as context:
            response = get_response(request)
        response.headers["X-Request-ID"] = context.request_id
        return response

    return middleware
