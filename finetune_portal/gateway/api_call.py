"""What every call of the API shares: token, method, rate limit, fields in any encoding, and errors.

The vendor documents a JSON body or a multipart form on a GET, its SDK sends an urlencoded form, and some
tools can only send a query string. All of them are read. Sessions and cookies are ignored.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import wraps
from io import BytesIO
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict, UnreadablePostError
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.views.decorators.csrf import csrf_exempt

from finetune_portal.gateway import services
from finetune_portal.gateway.models import PersonalToken, Right
from finetune_portal.playground.services import TooManyWaitingError
from finetune_portal.web import busy
from finetune_portal.web.errors import ActionError, ProviderError
from finetune_portal.web.request_context import acting_with_token
from finetune_portal.web.shared_cache import count

Fields = dict[str, Any]
Call = Callable[..., HttpResponse]  # of the request, the token, the fields, and what the URL names
MISSING_RIGHT = {
    Right.TRAIN: "This token may not upload or train.",
    Right.PUBLISH: "This token may not make models public or private.",
    Right.DOWNLOAD: "This token may not download models.",
    Right.RUN: "This token may not run models.",
}
PASSING: dict[type[Exception], int] = {TooManyWaitingError: 429, busy.BusyError: 503}
VIEWER = "Viewers can look, but cannot train or run models. An admin can change your role."


class ApiError(Exception):
    """An answer other than 200: the status and the sentence of its `error`."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.headers = status, headers


def api_call(*methods: str, right: Right, largest: int = 0) -> Callable[[Call], Callable[..., HttpResponse]]:
    """Make a view of these methods, for holders of a token with this right.

    `largest`: how many bytes a body may have, where it is more than that of other calls.
    """

    def decorate(view: Call) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @login_not_required
        @wraps(view)
        def respond(request: HttpRequest, **named: Any) -> HttpResponse:
            try:
                if request.method not in methods:
                    allowed = ", ".join(methods)
                    raise ApiError(405, f"This address answers {allowed} only.", {"Allow": allowed})
                _require_https(request)
                token = _authenticate(request.headers.get("x-api-key", ""))
                request.user = token.owner
                check_right(token, right)
                with acting_with_token(f"{token} …{token.last_four}"):
                    return view(request, token, _fields(request, largest), **named)
            except (ApiError, ActionError, PermissionDenied, Http404, busy.BusyError) as exc:
                return _response_for(exc)
            except DatabaseError as exc:
                if not busy.is_busy(exc):
                    raise
                return error(503, busy.SENTENCE, busy.HEADERS)

        respond.rejects_nul = True  # type: ignore[attr-defined]
        if largest:
            respond.body_bytes = lambda headers: largest if _is_valid(headers) else 0  # type: ignore[attr-defined]
        return respond

    return decorate


def _is_valid(headers: Mapping[str, str]) -> bool:
    """Whether the head of a call has a token that works. Its right is checked when the body is there."""
    token = services.find_token(headers.get("x-api-key", ""))
    return token is not None and not token.problem


def _response_for(exc: Exception) -> HttpResponse:
    match exc:
        case ApiError():
            return error(exc.status, str(exc), exc.headers)
        case Http404():
            return error(404, "There is no such fine-tune request, model or run.")
        case TooManyWaitingError() | busy.BusyError():
            return error(PASSING[type(exc)], str(exc), busy.HEADERS)
        case PermissionDenied():
            return error(403, str(exc))
        case ProviderError():
            return error(502, str(exc))
        case _:
            return error(409, str(exc))


def error(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> HttpResponse:
    return JsonResponse({"error": sentence}, status=status, headers=headers)


@csrf_exempt
@login_not_required
def not_found(request: HttpRequest, **_: Any) -> HttpResponse:
    return error(404, "Not found. The page /api/ lists the calls.")


not_found.rejects_nul = True  # type: ignore[attr-defined]  # with everything else


def check_right(token: PersonalToken, right: Right) -> None:
    if token.has_right(right):
        return
    if not token.owner.can_train:
        raise ApiError(403, VIEWER)
    raise ApiError(403, f"{MISSING_RIGHT[right]} Make one with this right on the page /tokens/.")


def _require_https(request: HttpRequest) -> None:
    """Reject plain http without a redirect, so that a script that exposes its token fails."""
    if settings.SECURE and not request.is_secure():
        raise ApiError(403, "Use https. A token that was sent over plain http may have been read: revoke it.")


def _authenticate(text: str) -> PersonalToken:
    token = services.find_token(text)
    if token is None:
        raise ApiError(401, "The personal token is missing or wrong. Send it in the header x-api-key.")
    if token.problem:
        raise ApiError(401, token.problem)
    _throttle(token)
    services.update_last_used(token)
    return token


def _throttle(token: PersonalToken) -> None:
    """Limit the calls of a token per minute, over all processes."""
    minute, second = divmod(int(time.time()), 60)
    if count(f"gateway:{token.pk}:{minute}", seconds=120) > settings.TOKEN_CALLS:
        raise ApiError(429, "Too many calls in this minute.", {"Retry-After": str(60 - second)})


def _fields(request: HttpRequest, largest: int) -> Fields:
    """The fields of the query, and those of the body over them."""
    if "%00" in request.META["QUERY_STRING"]:
        raise ApiError(400, "The query of the call has a NUL.")
    try:
        fields: Any = _body_fields(request, largest)
        json.dumps(fields, ensure_ascii=False).encode()  # half of a surrogate pair fits in no database
    except (MultiPartParserError, BadRequest, UnreadablePostError, ValueError, RecursionError):
        raise ApiError(400, "The body of the call cannot be read.") from None
    except SuspiciousOperation:
        raise ApiError(413, "The body of the call is too large.") from None
    if not isinstance(fields, dict):
        raise ApiError(422, "The body must be a JSON object.")
    return request.GET.dict() | fields


def _body_fields(request: HttpRequest, largest: int) -> Any:
    """A form by its content type, and JSON by any other; curl sends JSON as an urlencoded form."""
    kind = request.content_type
    body = request.read(largest + 1) if largest else request.body  # which has the limit of Django's setting
    if largest and len(body) > largest:
        raise RequestDataTooBig
    if not body.strip():
        return {}
    if kind == "multipart/form-data":
        return MultiPartParser(request.META, BytesIO(body), [], "utf-8").parse()[0].dict()
    if kind == "application/x-www-form-urlencoded" and not body.lstrip().startswith(b"{"):
        return QueryDict(body, encoding="utf-8").dict()
    return json.loads(body)


def text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if value is None or value == "":
        raise ApiError(422, f"{name} is missing.")
    if not isinstance(value, str) or "\x00" in value:
        raise ApiError(422, f"{name} must be text.")
    return value


def boolean(fields: Fields, name: str) -> bool:
    """True or false, or the text "True" of the form in docs/provider-api.md, 5."""
    known = {"true": True, "1": True, "false": False, "0": False}
    word = str(fields.get(name, "")).strip().lower()
    if word not in known:
        raise ApiError(422, f"{name} must be true or false.")
    return known[word]
