"""What every endpoint shares: the key, the methods, the fields of a request in any encoding, the errors.

Clients differ in how they send one call: the vendor's page puts a JSON body or a multipart form on a GET, the
SDK an urlencoded form, others a query string. All of them are read here.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import OperationalError
from django.http import HttpRequest, HttpResponseBase, JsonResponse, QueryDict, UnreadablePostError
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.utils.crypto import constant_time_compare

from finetune_portal.engine.gunicorn_worker import wait_for_client
from finetune_portal.engine.room import NoRoomError

Fields = dict[str, Any]
BUSY = "The engine's database is busy, so this was not done. Try again in a few seconds."
View = Callable[[HttpRequest, Fields], HttpResponseBase]


class ApiError(Exception):
    """A response that is not 200: the status, and a sentence for its `error`."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers

    def response(self) -> JsonResponse:
        return JsonResponse({"error": self.sentence}, status=self.status, headers=self.headers)


def endpoint(*methods: str, largest: int = 0) -> Callable[[View], Callable[..., HttpResponseBase]]:
    """Make a view for these methods. It needs the key, and gets the fields of the request and of its path.

    `largest`: how many bytes the body may have; 0 is DATA_UPLOAD_MAX_MEMORY_SIZE.
    """

    def decorate(view: View) -> Callable[..., HttpResponseBase]:
        @functools.wraps(view)
        def respond(request: HttpRequest, **route: str) -> HttpResponseBase:
            try:
                _check_key(request)
                if request.method not in methods:
                    allowed = ", ".join(methods)
                    raise ApiError(405, f"This address answers {allowed} only.", {"Allow": allowed})
                return view(request, _fields(request, largest) | route)
            except ApiError as error:
                return error.response()
            except NoRoomError as error:
                return ApiError(507, str(error)).response()
            except OperationalError as error:
                if "is locked" not in str(error):
                    raise
                return ApiError(503, BUSY, {"Retry-After": "5"}).response()

        return respond

    return decorate


def _check_key(request: HttpRequest) -> None:
    if not constant_time_compare(request.headers.get("x-api-key", ""), settings.API_KEY):
        raise ApiError(401, "The API key is missing or wrong. Send it in the header x-api-key.")
    wait_for_client(request)


def _body(request: HttpRequest, largest: int) -> bytes:
    announced = int(request.META.get("CONTENT_LENGTH") or 0)
    if announced > (largest or settings.DATA_UPLOAD_MAX_MEMORY_SIZE):
        raise ApiError(413, "The request body is too large.")
    try:
        return request.read()
    except UnreadablePostError:
        raise ApiError(400, "The request body ended early.") from None


def _fields(request: HttpRequest, largest: int) -> Fields:
    fields: Fields = dict(request.GET.items())
    body = _body(request, largest)
    if not body.strip():
        return fields
    kind = request.content_type or ""
    try:
        if kind == "multipart/form-data":
            fields |= _multipart(request, body).items()
        elif kind == "application/x-www-form-urlencoded" and not body.lstrip().startswith(b"{"):
            fields |= QueryDict(body, encoding="utf-8").items()
        else:
            fields |= _json_object(body)
    except (MultiPartParserError, SuspiciousOperation, BadRequest, UnicodeDecodeError):
        raise ApiError(400, "The form in the request body cannot be read.") from None
    return fields


def _multipart(request: HttpRequest, body: bytes) -> QueryDict:
    handlers = request.upload_handlers
    posted, _files = MultiPartParser(request.META, BytesIO(body), handlers, "utf-8").parse()
    return posted


def _json_object(body: bytes) -> Fields:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError(400, "The request body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise ApiError(422, "The request body must be a JSON object.")
    return value


def text(fields: Fields, name: str, *, longest: int, needed: bool = True) -> str:
    value = fields.get(name)
    if value is None or value == "":
        if needed:
            raise ApiError(422, f"{name} is missing.")
        return ""
    if not isinstance(value, str) or "\x00" in value:
        raise ApiError(422, f"{name} must be text.")
    value = value.strip()
    if needed and not value:
        raise ApiError(422, f"{name} is empty.")
    if len(value) > longest:
        raise ApiError(422, f"{name} must be {longest} characters or less.")
    return value


def number(fields: Fields, name: str, default: float) -> float:
    """A number, also as text: the vendor's lists carry both (docs/provider-api.md, 15)."""
    value = fields.get(name, default)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise ApiError(422, f"{name} must be a number.") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ApiError(422, f"{name} must be a number.")
    try:
        return float(value)
    except OverflowError:
        raise ApiError(422, f"{name} is too large.") from None


def boolean(fields: Fields, name: str, default: bool | None = None) -> bool:
    """True or false, also as the text "True" that the form of docs/provider-api.md, 5 sends."""
    value = fields.get(name, default)
    if isinstance(value, bool):
        return value
    known = {"true": True, "1": True, "false": False, "0": False}
    if str(value).strip().lower() not in known:
        raise ApiError(422, f"{name} must be true or false.")
    return known[str(value).strip().lower()]


def one_of(fields: Fields, name: str, *, only: str) -> None:
    """Check a field that has one allowed value (docs/provider-api.md, 1), in any case."""
    if text(fields, name, longest=100).upper() != only:
        raise ApiError(422, f"{name} must be {only}.")
