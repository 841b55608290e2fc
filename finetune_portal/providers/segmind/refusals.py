"""What an answer other than 2xx means (docs/provider-api.md, 12.1), with the upstream's own reason."""

from __future__ import annotations

import re
import time
from email.utils import mktime_tz, parsedate_tz
from typing import Any

from finetune_portal.providers.segmind import errors
from finetune_portal.providers.segmind.reading import parse
from finetune_portal.providers.segmind.types import number, text

LONGEST_REASON = 500
LONGEST_PAUSE = 24 * 3600.0
SIGNED = re.compile(r"(https?://[^\s?]*)\?\S*")
S3_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,60})</Code>")


def refusal(status: int, retry_after: str, content: bytes, key: str) -> errors.SegmindError:
    reason = _without_secrets(_reason(content), key)
    says = f" It says: {reason}" if reason else ""
    if status == 401:
        sentence = "The upstream does not accept the API key. An admin should check it in the settings."
        return errors.UnauthorizedError(sentence, status=status, detail=reason)
    if status in (402, 406):
        sentence = f"The account has not enough credits. Top it up and start again.{says}"
        return errors.OutOfCreditsError(sentence, status=status, detail=reason)
    if status == 410:
        sentence = f"The upstream takes no new trainings.{says}"
        return errors.TrainingClosedError(sentence, status=status, detail=reason)
    if status == 429:
        sentence = "The upstream asks for a pause. It is tried again by itself."
        busy = errors.RateLimitedError(sentence, status=status, detail=reason)
        busy.retry_after = _pause(retry_after)
        return busy
    if status in (408, 409, 425) or not 400 <= status < 500:
        sentence = f"The upstream has trouble of its own (status {status}). Try again in a few minutes."
        return errors.ServerError(sentence, status=status, detail=reason)
    sentence = f"The upstream said no (status {status}).{says}"
    return errors.RequestRejectedError(sentence, status=status, detail=reason)


def storage_refusal(status: int, content: bytes) -> errors.ServerError:
    """S3's no: most often an address that is too old."""
    found = S3_CODE.search(content[:8192])
    code = found[1].decode() if found else f"status {status}"
    sentence = "The storage did not take the dataset. It is tried again with a fresh address."
    return errors.ServerError(sentence, status=status, detail=code)


def _reason(content: bytes) -> str:
    """The upstream's own words, if it answered JSON; its HTML is never passed on."""
    try:
        told = parse(content)
    except errors.InvalidResponseError:
        return ""
    if not isinstance(told, dict):
        told = {"error": told}
    reasons = (_words(told.get(name)) for name in ("error", "message", "detail"))
    return next((reason for reason in reasons if reason), "")


def _words(value: Any) -> str:
    """Of text, of an object with a message, or of a list of either."""
    values = value[:5] if isinstance(value, list) else [value]
    texts = [text(v.get("message") or v.get("msg")) if isinstance(v, dict) else text(v) for v in values]
    return "; ".join(found for found in texts if found)


def _without_secrets(reason: str, key: str) -> str:
    hidden = SIGNED.sub(r"\1", reason)
    hidden = hidden.replace(key, "(the API key)") if key else hidden
    return hidden[:LONGEST_REASON]


def _pause(retry_after: str) -> float | None:
    """Seconds from now, of a number of seconds or an HTTP date."""
    seconds = number(retry_after)
    if seconds is None:
        try:
            date = parsedate_tz(retry_after)
            seconds = mktime_tz(date) - time.time() if date else None
        except (ValueError, OverflowError):
            return None
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_PAUSE)
