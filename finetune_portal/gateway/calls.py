"""What the calls share: the token, the methods, the limit, the fields in any encoding, the shape of an error.

The vendor's page puts a JSON body or a multipart form on a GET, the vendor's SDK an urlencoded form, and some
tools can only write a query string. All of them are read. No session and no cookie has a part in it.
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
from django.core.cache import cache
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict, UnreadablePostError
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.views.decorators.csrf import csrf_exempt

from finetune_portal.gateway import services
from finetune_portal.gateway.models import AccessToken, Right
from finetune_portal.web.errors import ActionError, ProviderError
from finetune_portal.web.request_context import acting_with_token

Fields = dict[str, Any]
Call = Callable[[HttpRequest, AccessToken, Fields], HttpResponse]
LACKS = {
    Right.TRAIN: "This token may not upload or train.",
    Right.PUBLISH: "This token may not make models public or private.",
    Right.DOWNLOAD: "This token may not download models.",
}


class Refused(Exception):
    """An answer other than 200: its status and the sentence in its `error`."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.headers = status, headers


def call(method: str, right: Right) -> Callable[[Call], Callable[..., HttpResponse]]:
    """A view of this one method for holders of a token with this right."""

    def decorate(view: Call) -> Callable[..., HttpResponse]:
        @csrf_exempt
        @login_not_required
        @wraps(view)
        def answer(request: HttpRequest) -> HttpResponse:
            try:
                if request.method != method:
                    raise Refused(405, f"This address answers {method} only.", {"Allow": method})
                _by_https(request)
                token = _token(request.headers.get("x-api-key", ""))
                request.user = token.owner
                check_right(token, right)
                with acting_with_token(f"{token} …{token.last_four}"):
                    return view(request, token, _fields(request))
            except (Refused, ActionError, PermissionDenied, Http404) as exc:
                return _refusal(exc)

        return answer

    return decorate


def _refusal(exc: Exception) -> HttpResponse:
    match exc:
        case Refused():
            return error(exc.status, str(exc), exc.headers)
        case Http404():
            return error(404, "There is no such fine-tune request or model.")
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
def nothing_here(request: HttpRequest, **_: Any) -> HttpResponse:
    return error(404, "There is nothing at this address. The page /api/ lists the calls.")


def check_right(token: AccessToken, right: Right) -> None:
    if token.may(right):
        return
    if not token.owner.can_train:
        raise Refused(403, "Viewers can look, but cannot train. An admin can change your role.")
    raise Refused(403, f"{LACKS[right]} Make one that may, on the page /tokens/.")


def _by_https(request: HttpRequest) -> None:
    """No redirect: a script that sends its token in the open must notice."""
    if settings.SECURE and not request.is_secure():
        raise Refused(403, "Call by https. A token that came by plain http may have been read: revoke it.")


def _token(text: str) -> AccessToken:
    token = services.recognise(text)
    if token is None:
        raise Refused(401, "The access token is missing or wrong. Send it in the header x-api-key.")
    if token.trouble:
        raise Refused(401, token.trouble)
    _throttle(token)
    services.note_use(token)
    return token


def _throttle(token: AccessToken) -> None:
    """So many calls a minute; each web process counts its own."""
    minute, second = divmod(int(time.time()), 60)
    counter = f"gateway:{token.pk}:{minute}"
    cache.add(counter, 0, timeout=120)
    if cache.incr(counter) > settings.TOKEN_CALLS:
        raise Refused(429, "Too many calls in this minute.", {"Retry-After": str(60 - second)})


def _fields(request: HttpRequest) -> Fields:
    try:
        body, kind = request.body, request.content_type
        if not body.strip():
            return request.GET.dict()
        if kind == "multipart/form-data":
            return MultiPartParser(request.META, BytesIO(body), [], "utf-8").parse()[0].dict()
        if kind == "application/x-www-form-urlencoded":
            return QueryDict(body, encoding="utf-8").dict()
        told = json.loads(body)
        json.dumps(told, ensure_ascii=False).encode()  # half of a surrogate pair fits in no database
    except (MultiPartParserError, BadRequest, UnreadablePostError, ValueError, RecursionError):
        raise Refused(400, "The body of the call cannot be read.") from None
    except SuspiciousOperation:
        raise Refused(413, "The body of the call is too large.") from None
    if not isinstance(told, dict):
        raise Refused(422, "The body must be a JSON object.")
    return told


def text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    if value is None or value == "":
        raise Refused(422, f"{name} is missing.")
    if not isinstance(value, str) or "\x00" in value:
        raise Refused(422, f"{name} must be text.")
    return value


def boolean(fields: Fields, name: str) -> bool:
    """True or false, or the text "True" that the form of docs/provider-api.md, 5 sends."""
    known = {"true": True, "false": False}
    word = str(fields.get(name, "")).lower()
    if word not in known:
        raise Refused(422, f"{name} must be true or false.")
    return known[word]
