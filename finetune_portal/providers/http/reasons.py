"""Read what an answer other than 2xx says: its reason in any shape, without secrets, and the pause."""

from __future__ import annotations

import re
import time
from email.utils import mktime_tz, parsedate_tz
from typing import Any

from finetune_portal.providers.errors import InvalidResponseError
from finetune_portal.providers.http.json_body import parse
from finetune_portal.providers.http.values import number, text

MAX_REASON = 500
MAX_PAUSE = 24 * 3600.0
MAX_WORDS = 8192
SIGNED_URL = re.compile(r"(https?://[^\s?]*)\?\S*")
KINDS = ("type", "code", "status")  # of an error, which say nothing to people
PLACES = (["body"], ["query"], ["header"], ["path"], ["cookie"])  # of a parameter, first in FastAPI's `loc`
COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
MARKUP = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)


def reason_of(content: bytes) -> str:
    """The provider's own text, if it answered JSON or plain text; HTML is never passed on."""
    try:
        payload = parse(content)
    except InvalidResponseError:
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


def words_of(content: bytes) -> str:
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


def quoted(reason: str) -> str:
    """The reason as a sentence after ours, with one full stop; empty where there is none."""
    stop = "" if reason.rstrip("”’\"')").endswith((".", "!", "?", "…", "。")) else "."
    return f" It says: {reason}{stop}" if reason else ""


def without_secrets(words: str, *keys: str) -> str:
    """The words without the query of an address, which may sign it, and without the keys; cut short."""
    hidden = SIGNED_URL.sub(r"\1", words)
    for key in filter(None, keys):
        hidden = hidden.replace(key, "(the API key)")
    return hidden[:MAX_REASON]


def log_text(message: str, *keys: str) -> str:
    """A line of a log, without colours, keys and what signs an address."""
    return without_secrets(text(COLOURS.sub("", message)), *keys)


def pause(retry_after: str) -> float | None:
    """Seconds from now, from a number of seconds or an HTTP date."""
    seconds = number(retry_after)
    if seconds is None:
        try:
            date = parsedate_tz(retry_after)
            seconds = mktime_tz(date) - time.time() if date else None
        except (ValueError, OverflowError):
            return None
    return None if seconds is None else min(max(seconds, 0.0), MAX_PAUSE)
