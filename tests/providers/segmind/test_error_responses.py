"""Answers that refuse: what a status means, the reason in any shape, the pause, no secret in the error."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest

from finetune_portal.providers.errors import (
    CallError,
    GoneError,
    OutOfCreditsError,
    RateLimitedError,
    RequestRejectedError,
    ServerError,
    TrainingClosedError,
    UnauthorizedError,
)
from finetune_portal.providers.segmind import SegmindClient
from tests.provider import KEY, ScriptedProvider, says
from tests.providers.segmind.conftest import SUBMIT
from tests.providers.segmind.test_connection_errors import failure
from tests.providers.segmind.test_responses import HTML, SIGNED


def refused(
    provider: ScriptedProvider, client: SegmindClient, status: int, body: Any, **headers: str
) -> CallError:
    provider.script("submit", says(status, body, taken=status < 400, **headers))
    with pytest.raises(CallError) as caught:
        client.submit(SUBMIT)
    assert caught.value.status == status
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind", "retryable", "may_have_been_sent"),
    [
        (400, RequestRejectedError, False, False),
        (401, UnauthorizedError, False, False),
        (402, OutOfCreditsError, False, False),
        (403, RequestRejectedError, False, False),
        (404, RequestRejectedError, False, False),
        (405, RequestRejectedError, False, False),
        (406, OutOfCreditsError, False, False),
        (410, TrainingClosedError, False, False),
        (422, RequestRejectedError, False, False),
        (429, RateLimitedError, True, False),
        (408, ServerError, True, True),
        (409, ServerError, True, True),
        (425, ServerError, True, True),
        (500, ServerError, True, True),
        (502, ServerError, True, True),
        (503, ServerError, True, True),
        (504, ServerError, True, True),
        (300, ServerError, True, True),
        (304, ServerError, True, True),
    ],
)
@pytest.mark.parametrize("body", [b"", HTML, {"error": "so it is"}])
def test_each_status_has_its_meaning(
    provider: ScriptedProvider,
    client: SegmindClient,
    status: int,
    kind: type[CallError],
    retryable: bool,
    may_have_been_sent: bool,
    body: Any,
) -> None:
    error = refused(provider, client, status, body if status != 304 else b"")
    assert type(error) is kind
    assert (error.retryable, error.may_have_been_sent) == (retryable, may_have_been_sent)
    assert "html" not in f"{error.message} {error.detail}"
    assert error.message.endswith((".", "so it is"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": "steps is too big"}, "steps is too big"),
        ({"message": "steps is too big"}, "steps is too big"),
        ({"detail": "steps is too big"}, "steps is too big"),
        ({"error": {"code": 7, "message": "steps is too big"}}, "steps is too big"),
        ({"error": None, "message": "steps is too big"}, "steps is too big"),
        ({"detail": [{"loc": ["body", "steps"], "msg": "steps is too big"}]}, "steps is too big"),
        ({"message": ["steps is too big", "name is empty"]}, "steps is too big; name is empty"),
        ("steps is too big", "steps is too big"),
        ({"error": {"code": 7}}, ""),
        ({"error": True, "detail": {}}, ""),
        ([], ""),
        (b"<Error><Code>AccessDenied</Code></Error>", ""),
        (b"", ""),
        (HTML, ""),
    ],
)
def test_the_reason_is_found_in_every_shape(
    provider: ScriptedProvider, client: SegmindClient, body: Any, reason: str
) -> None:
    error = refused(provider, client, 422, body)
    assert error.detail == reason
    assert error.message.endswith(f"It says: {reason}." if reason else "(status 422).")


@pytest.mark.parametrize(
    "reason", ["It is too big.", "Too big!", "Say “Too big.”", "Why (see the docs.)", "…"]
)
def test_a_reason_that_is_a_sentence_gets_no_second_full_stop(
    provider: ScriptedProvider, client: SegmindClient, reason: str
) -> None:
    error = refused(provider, client, 422, {"error": reason})
    assert error.message.endswith(f"It says: {reason}")


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7),
        ("0.5", 0.5),
        ("-3", 0),
        ("99999999999999", 24 * 3600),
        ("soon", None),
        ("nan", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Fri, 31 Dec 999999999999 23:59:59 GMT", None),
    ],
)
def test_how_long_a_pause_is(
    provider: ScriptedProvider, client: SegmindClient, retry_after: str, seconds: float | None
) -> None:
    error = refused(provider, client, 429, {"error": "slow down"}, Retry_After=retry_after)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == seconds


def test_a_pause_until_a_date(provider: ScriptedProvider, client: SegmindClient) -> None:
    date = formatdate(time.time() + 120, usegmt=True)
    error = refused(provider, client, 429, b"", Retry_After=date)
    assert isinstance(error, RateLimitedError)
    assert error.retry_after == pytest.approx(120, abs=5)
    unnamed = refused(provider, client, 429, b"")
    assert isinstance(unnamed, RateLimitedError)
    assert unnamed.retry_after is None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("target", ["/v1/get-user-credits", "http://[", "http://\xff.example/", ""])
def test_a_redirect_is_not_followed(
    provider: ScriptedProvider, client: SegmindClient, status: int, target: str
) -> None:
    """A13: the key goes to the configured host alone."""
    error = refused(provider, client, status, {}, Location=target)
    assert isinstance(error, ServerError)
    assert error.may_have_been_sent
    assert [request.path for request in provider.requests] == ["/finetune/request/submit"]


@pytest.mark.parametrize("status", [400, 401, 406, 429, 500])
def test_neither_the_key_nor_a_signed_url_comes_back_in_an_error(
    provider: ScriptedProvider, client: SegmindClient, status: int
) -> None:
    for reason in (f"key {KEY} is bad", {"message": f"cannot read {SIGNED}, says {KEY}"}):
        error = refused(provider, client, status, {"error": reason})
        shown = f"{error} {error!r} {error.detail} {error.__dict__} {error.args}"
        assert KEY not in shown
        assert "AKIDEXAMPLE" not in shown
        assert "c2VjcmV0" not in shown


def test_long_words_are_cut(provider: ScriptedProvider, client: SegmindClient) -> None:
    error = refused(provider, client, 400, {"error": "x" * 100_000})
    assert len(error.message) < 600


def test_only_an_object_says_that_a_job_is_gone(provider: ScriptedProvider, client: SegmindClient) -> None:
    """An unknown URL is answered as HTML, a retired call by 410 (docs/provider-api.md, 12.1)."""
    for call in (lambda: client.details("a"), lambda: client.set_public("a", public=True)):
        answers = says(404, HTML), says(404, b"Not Found"), says(410, {"error": "Retired"})
        for name in ("details", "set_public"):
            provider.script(name, says(404, {"error": "No such job"}), *answers)
        errors = [failure(call) for _ in range(4)]
        assert [type(error) for error in errors] == [GoneError, *[RequestRejectedError] * 3]
        assert errors[0].message.endswith("It says: No such job.")
        provider.unscript()
