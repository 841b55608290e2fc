"""Turn the refusal of a provider whose errors have the usual statuses into an error with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from finetune_portal.providers import errors
from finetune_portal.providers.http.answer import Answer
from finetune_portal.providers.http.closing_words import is_closed
from finetune_portal.providers.http.reasons import pause, quoted, reason_of, without_secrets, words_of

# The reasons of these are no help to people.
NOT_QUOTED = (errors.UnauthorizedError, errors.RateLimitedError, errors.ServerError)


class About(Enum):
    """What a call is about: a refusal of a new job may mean that none is taken, a 404 that a job is gone."""

    CALL = "call"
    JOB = "job"
    NEW_JOB = "new job"


def refusal(
    answer: Answer, about: About, provider: str, keys: Sequence[str], locked: str = ""
) -> errors.CallError:
    """The error of an answer that is no 2xx. `locked`: the sentence of an account that may start nothing."""
    reason = without_secrets(reason_of(answer.content), *keys)
    words = reason or words_of(answer.content)
    kind, sentence = (
        (errors.OutOfCreditsError, locked) if locked else _meaning(answer, words, about, provider)
    )
    quote = "" if kind in NOT_QUOTED else quoted(reason)
    error = kind(f"{sentence}{quote}", status=answer.status, detail=reason)
    if isinstance(error, errors.RateLimitedError):
        error.retry_after = pause(answer.headers.get("retry-after", ""))
    return error


def _meaning(answer: Answer, words: str, about: About, provider: str) -> tuple[type[errors.CallError], str]:
    status = answer.status
    if status == 401:
        sentence = f"{provider} does not accept the API key. An admin should check it in the settings."
        return errors.UnauthorizedError, sentence
    if status == 429:
        return errors.RateLimitedError, f"{provider} limits the calls of this account."
    if about is About.NEW_JOB and is_closed(status, words):
        return errors.TrainingClosedError, f"{provider} takes no new jobs for this."
    is_gone = about is About.JOB and status in (404, 410)
    if is_gone and answer.fields():
        return errors.GoneError, f"{provider} does not know this job, or not any more."
    is_fault = status in (408, 409, 425, 499) or not 400 <= status < 500
    if is_fault or is_gone:  # of a proxy that does not find the provider
        sentence = f"{provider} has a problem of its own (status {status}). Try again in a few minutes."
        return errors.ServerError, sentence
    return errors.RequestRejectedError, f"{provider} rejected the request (status {status})."
