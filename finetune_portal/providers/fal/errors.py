"""Turn fal's refusals into errors, and the failure of a job into words (docs/provider-fal.md, 6)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from finetune_portal.providers.errors import CallError
from finetune_portal.providers.http.answer import Answer
from finetune_portal.providers.http.reasons import quoted, reason_of, without_secrets, words_of
from finetune_portal.providers.http.refusals import About, refusal
from finetune_portal.providers.http.values import text

# The one refusal of an account without money, or that fal's staff locked. It comes on status calls, too.
LOCKED = re.compile(r"\buser is locked\b", re.IGNORECASE)
LOCKED_ACCOUNT = "fal has locked the account, most often because its balance is used up."
MEANINGS = {
    "file_download_error": "fal could not download a file that the request names.",
    "file_too_large": "A file is larger than fal takes.",
    "image_load_error": "fal could not read an image.",
    "content_policy_violation": "fal’s content check refused it.",
    "generation_timeout": "It took longer than fal allows.",
    "request_timeout": "fal did not start it in time.",
    "startup_timeout": "fal did not start a machine for it in time.",
    "client_cancelled": "It was cancelled.",
}
# By the beginning of an error type.
FAULTS = {"runner_": "fal lost the machine that ran it.", "internal_": "fal had a fault of its own."}


def error_for(answer: Answer, keys: Sequence[str], about: About = About.CALL) -> CallError:
    is_locked = answer.status == 403 and LOCKED.search(reason_of(answer.content) or words_of(answer.content))
    locked = LOCKED_ACCOUNT if is_locked or answer.status == 402 else ""
    return refusal(answer, about, "fal", keys, locked)


def failure_of(content: bytes, error: str, error_type: str, keys: Sequence[str]) -> str:
    """Why a job failed, in a sentence and fal's own words; `content` is the body of its result."""
    fields = Answer(0, {}, content).fields()
    reason = without_secrets(reason_of(content) if fields else "", *keys) or without_secrets(error, *keys)
    sentences = (_sentence(kind) for kind in (error_type, *types_of(fields)))
    sentence = next((each for each in sentences if each), "The job failed at fal.")
    return f"{sentence}{quoted(reason)}"


def _sentence(error_type: str) -> str:
    beginnings = (words for start, words in FAULTS.items() if error_type.startswith(start))
    return MEANINGS.get(error_type) or next(beginnings, "")


def types_of(fields: Mapping[str, Any]) -> Iterator[str]:
    """The error types of a body: the platform's one, or those of the model's list."""
    yield text(fields.get("error_type"))
    details = fields.get("detail")
    for each in details[:5] if isinstance(details, list) else ():
        if isinstance(each, dict):
            yield text(each.get("type"))
