"""Turn Replicate's refusals into errors (docs/provider-replicate.md, 6)."""

from __future__ import annotations

import re

from finetune_portal.providers.errors import CallError, RateLimitedError
from finetune_portal.providers.http.answer import Answer
from finetune_portal.providers.http.reasons import pause
from finetune_portal.providers.http.refusals import About, refusal
from finetune_portal.providers.http.values import text

LOCKED = "The credit of the account at Replicate is used up."
SECONDS = re.compile(r"(\d+(?:\.\d+)?) ?s(?:ec|\b)", re.IGNORECASE)


def error_for(answer: Answer, key: str, about: About = About.CALL) -> CallError:
    error = refusal(answer, about, "Replicate", (key,), LOCKED if answer.status == 402 else "")
    if isinstance(error, RateLimitedError) and error.retry_after is None:
        error.retry_after = _pause_in(answer)
    return error


def _pause_in(answer: Answer) -> float | None:
    """The seconds that a body names, in a field of its own or in its sentence."""
    fields = answer.fields()
    match = SECONDS.search(text(fields.get("detail")))
    return pause(text(fields.get("retry_after")) or (match[1] if match else ""))
