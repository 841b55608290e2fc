"""Turn an answer other than 2xx into an error (docs/provider-api.md, 12.1), with the provider's reason."""

from __future__ import annotations

import re

from finetune_portal.providers import errors
from finetune_portal.providers.http.closing_words import is_closed
from finetune_portal.providers.http.json_body import parse
from finetune_portal.providers.http.reasons import pause, quoted, reason_of, without_secrets, words_of

CREDITS = re.compile(r"credit|balance|fund|insufficient|top.?up|payment", re.IGNORECASE)
SPEND_LIMIT = re.compile(r"spend|limit|\bcap\b|budget|quota", re.IGNORECASE)
MEANINGS: dict[int, tuple[type[errors.CallError], str]] = {
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
GONE = "The provider does not know this job, or not any more."
QUOTED = (errors.OutOfCreditsError, errors.RequestRejectedError, errors.GoneError)
CONTENT_TYPE = re.compile(r"content.?type|media.?type|\baccept\b|\bmime\b", re.IGNORECASE)


def error_for(
    status: int,
    retry_after: str,
    content: bytes,
    key: str,
    *,
    for_new_job: bool = False,
    for_job: bool = False,
) -> errors.CallError:
    """`for_new_job`: the call starts a job or uploads for one, so its refusal may mean a closed service.

    `for_job`: it names a job, so a 404 with an object means that there is none. One without is of a proxy,
    and a 410 is of a call that the provider has retired.
    """
    reason = without_secrets(reason_of(content), key)
    quote = quoted(reason)
    if for_new_job and is_closed(status, reason or words_of(content)):
        sentence = f"The provider takes no new jobs.{quote}"
        return errors.TrainingClosedError(sentence, status=status, detail=reason)
    kind, sentence = _meaning(status, reason)
    if for_job and status == 404 and _is_object(content):
        kind, sentence = errors.GoneError, GONE
    error = kind(f"{sentence}{quote if kind in QUOTED else ''}", status=status, detail=reason)
    if isinstance(error, errors.RateLimitedError):
        error.retry_after = pause(retry_after)
    return error


def _meaning(status: int, reason: str) -> tuple[type[errors.CallError], str]:
    if status == 406:
        return _not_acceptable(reason)
    if status in MEANINGS:
        return MEANINGS[status]
    if status in (408, 409, 425) or not 400 <= status < 500:
        sentence = f"The provider has a problem of its own (status {status}). Try again in a few minutes."
        return errors.ServerError, sentence
    return errors.RequestRejectedError, f"The provider rejected the request (status {status})."


def _is_object(content: bytes) -> bool:
    try:
        return isinstance(parse(content), dict)
    except errors.InvalidResponseError:
        return False


def _not_acceptable(reason: str) -> tuple[type[errors.CallError], str]:
    """406 means credits, a team's spend limit or a content type: its words tell."""
    if CREDITS.search(reason):
        return MEANINGS[402]
    if CONTENT_TYPE.search(reason):
        return errors.RequestRejectedError, "The provider does not take this kind of request (status 406)."
    if SPEND_LIMIT.search(reason):
        return errors.OutOfCreditsError, "The account’s spend limit at the provider is reached."
    return errors.OutOfCreditsError, UNCLEAR_406
