"""Turn an answer other than 2xx into an error (docs/provider-api.md, 12.1), with the provider's reason."""

from __future__ import annotations

import re
import time
from email.utils import mktime_tz, parsedate_tz
from typing import Any

from finetune_portal.providers.segmind import availability, errors
from finetune_portal.providers.segmind.json_body import parse
from finetune_portal.providers.segmind.types import number, text

MAX_REASON = 500
MAX_PAUSE = 24 * 3600.0
MAX_WORDS = 8192
SIGNED_URL = re.compile(r"(https?://[^\s?]*)\?\S*")
KINDS = ("type", "code", "status")  # of an error, which say nothing to people
PLACES = (["body"], ["query"], ["header"], ["path"], ["cookie"])  # of a parameter, first in FastAPI's `loc`
MARKUP = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
CREDITS = re.compile(r"credit|balance|fund|insufficient|top.?up|payment", re.IGNORECASE)
SPEND_LIMIT = re.compile(r"spend|limit|\bcap\b|budget|quota", re.IGNORECASE)
MEANINGS: dict[int, tuple[type[errors.SegmindError], str]] = {
    401: (
        errors.UnauthorizedError,
        "The provider does not accept the API key. An admin should check it in the settings.",
    ),
    402: (
        errors.OutOfCreditsError,
        "The account does not have enough credits. Top it up and start again.",
    ),
    410: (
        errors.RequestRejectedError,
        "The provider no longer has this, or no longer offers it (status 410).",
    ),
    429: (
        errors.RateLimitedError,
        "The provider limits the calls of this account.",
    ),
}
UNCLEAR_406 = (
    "The provider refused with status 406: not enough credits, a spend limit of the team, or a content type "
    "that it does not take."
)
QUOTED = (errors.OutOfCreditsError, errors.RequestRejectedError)
CONTENT_TYPE = re.compile(r"content.?type|media.?type|\baccept\b|\bmime\b", re.IGNORECASE)


def error_for(
    status: int, retry_after: str, content: bytes, key: str, *, for_new_job: bool = False
) -> errors.SegmindError:
    """`for_new_job`: the call starts a job or uploads for one, so its refusal may mean a closed service."""
    reason = _without_secrets(_reason(content), key)
    quote = f" It says: {reason}" if reason else ""
    if for_new_job and availability.is_closed(status, reason or _words(content)):
        sentence = f"The provider takes no new jobs.{quote}"
        return errors.TrainingClosedError(sentence, status=status, detail=reason)
    kind, sentence = _meaning(status, reason)
    error = kind(f"{sentence}{quote if kind in QUOTED else ''}", status=status, detail=reason)
    if isinstance(error, errors.RateLimitedError):
        error.retry_after = _pause(retry_after)
    return error


def _meaning(status: int, reason: str) -> tuple[type[errors.SegmindError], str]:
    if status == 406:
        return _not_acceptable(reason)
    if status in MEANINGS:
        return MEANINGS[status]
    if status in (408, 409, 425) or not 400 <= status < 500:
        sentence = f"The provider has a problem of its own (status {status}). Try again in a few minutes."
        return errors.ServerError, sentence
    return errors.RequestRejectedError, f"The provider rejected the request (status {status})."


def _not_acceptable(reason: str) -> tuple[type[errors.SegmindError], str]:
    """406 means credits, a team's spend limit or a content type: its words tell."""
    if CREDITS.search(reason):
        return MEANINGS[402]
    if CONTENT_TYPE.search(reason):
        return errors.RequestRejectedError, "The provider does not take this kind of request (status 406)."
    if SPEND_LIMIT.search(reason):
        return errors.OutOfCreditsError, "The account’s spend limit at the provider is reached."
    return errors.OutOfCreditsError, UNCLEAR_406


def _reason(content: bytes) -> str:
    """The provider's own text, if it answered JSON or plain text; HTML is never passed on."""
    try:
        payload = parse(content)
    except errors.InvalidResponseError:
        return _plain(content)
    if not isinstance(payload, dict):
        payload = {"error": payload}
    reasons = (_text_of(payload.get(name)) for name in ("error", "message", "detail"))
    return next((reason for reason in reasons if reason), "")


def _plain(content: bytes) -> str:
    """The words of a short text without markup or JSON in it; empty for everything else."""
    words = content[:MAX_WORDS].decode("utf-8", "replace").strip()
    has_markup = any(mark in words for mark in "<>{}[]\ufffd")
    return "" if has_markup or len(words) > MAX_REASON else text(words)


def _words(content: bytes) -> str:
    """The words of any body, to look for known ones; never to be shown."""
    return " ".join(MARKUP.sub(" ", content[:MAX_WORDS].decode("utf-8", "replace")).split())


def _text_of(value: Any) -> str:
    """The text in a string, in an object with a message, or in a list of either."""
    values = value[:5] if isinstance(value, list) else [value]
    texts = [_message_of(each) if isinstance(each, dict) else text(each) for each in values]
    return "; ".join(each for each in texts if each)


def _message_of(error: dict[str, Any]) -> str:
    """The message with the field that it is about, or one message a field: `{"steps": ["Too many."]}`."""
    if message := text(error.get("message") or error.get("msg")):
        field = _field_of(error)
        return f"{field}: {message}" if field and field not in message else message
    fields = [(text(name), _text_of(value)) for name, value in list(error.items())[:5] if name not in KINDS]
    return "; ".join(f"{name}: {message}" for name, message in fields if message)


def _field_of(error: dict[str, Any]) -> str:
    """The name of the field: `loc` as FastAPI says it, without the place of the parameter, or plain text."""
    loc = error.get("loc")
    if isinstance(loc, list):
        parts = [text(part) for part in loc[:5]]
        return ".".join(part for part in (parts[1:] if parts[:1] in PLACES else parts) if part)
    return text(error.get("field") or error.get("param"))


def _without_secrets(reason: str, key: str) -> str:
    hidden = SIGNED_URL.sub(r"\1", reason)
    hidden = hidden.replace(key, "(the API key)") if key else hidden
    return hidden[:MAX_REASON]


def _pause(retry_after: str) -> float | None:
    """Seconds from now, from a number of seconds or an HTTP date."""
    seconds = number(retry_after)
    if seconds is None:
        try:
            date = parsedate_tz(retry_after)
            seconds = mktime_tz(date) - time.time() if date else None
        except (ValueError, OverflowError):
            return None
    return None if seconds is None else min(max(seconds, 0.0), MAX_PAUSE)
