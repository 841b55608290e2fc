"""Turn an answer other than 2xx into an error (docs/provider-api.md, 12.1), with the provider's reason."""

from __future__ import annotations

import re
import time
from email.utils import mktime_tz, parsedate_tz
from typing import Any

from finetune_portal.providers.segmind import errors
from finetune_portal.providers.segmind.json_body import parse
from finetune_portal.providers.segmind.types import number, text

MAX_REASON = 500
MAX_PAUSE = 24 * 3600.0
SIGNED_URL = re.compile(r"(https?://[^\s?]*)\?\S*")
PLACES = (["body"], ["query"], ["header"], ["path"], ["cookie"])  # of a parameter, first in FastAPI's `loc`
S3_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,60})</Code>")


def error_for(status: int, retry_after: str, content: bytes, key: str) -> errors.SegmindError:
    reason = _without_secrets(_reason(content), key)
    quote = f" It says: {reason}" if reason else ""
    if status == 401:
        sentence = "The provider does not accept the API key. An admin should check it in the settings."
        return errors.UnauthorizedError(sentence, status=status, detail=reason)
    if status in (402, 406):
        sentence = f"The account does not have enough credits. Top it up and start again.{quote}"
        return errors.OutOfCreditsError(sentence, status=status, detail=reason)
    if status == 410:
        sentence = f"The provider takes no new jobs.{quote}"
        return errors.TrainingClosedError(sentence, status=status, detail=reason)
    if status == 429:
        sentence = "The provider limits the calls of this account. The portal tries again by itself."
        error = errors.RateLimitedError(sentence, status=status, detail=reason)
        error.retry_after = _pause(retry_after)
        return error
    if status in (408, 409, 425) or not 400 <= status < 500:
        sentence = f"The provider has a problem of its own (status {status}). Try again in a few minutes."
        return errors.ServerError(sentence, status=status, detail=reason)
    sentence = f"The provider rejected the request (status {status}).{quote}"
    return errors.RequestRejectedError(sentence, status=status, detail=reason)


def storage_error(status: int, content: bytes) -> errors.ServerError:
    """The error of an answer of S3 other than 200: most often the signed URL is too old."""
    match = S3_CODE.search(content[:8192])
    code = match[1].decode() if match else f"status {status}"
    sentence = "The storage did not accept the dataset. The portal tries again with a new address."
    return errors.ServerError(sentence, status=status, detail=code)


def _reason(content: bytes) -> str:
    """The provider's own text, if it answered JSON; HTML is never passed on."""
    try:
        payload = parse(content)
    except errors.InvalidResponseError:
        return ""
    if not isinstance(payload, dict):
        payload = {"error": payload}
    reasons = (_text_of(payload.get(name)) for name in ("error", "message", "detail"))
    return next((reason for reason in reasons if reason), "")


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
    fields = [(text(name), _text_of(value)) for name, value in list(error.items())[:5] if name != "type"]
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
