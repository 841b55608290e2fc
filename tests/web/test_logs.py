"""What a log line may hold: an id to find it by, and no secret of any shape."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_portal.web.logs import REDACTED, RedactingFormatter

KEY = "the-team's-own-api-key"
SECRETS = {
    "header": "GET / {'x-api-key': 'abcdef0123456789', 'accept': '*/*'}",
    "cookie": "Cookie: sessionid=abcdef0123456789",
    "signed URL": "https://bucket.s3.amazonaws.com/a.zip?X-Amz-Signature=abcdef0123456789&X-Amz-Date=1",
    "query": "/finish?code=abcdef0123456789&state=1",
    "webhook": "POST /hooks/segmind/abcdef0123456789/ 200",
    "invitation": "GET /setup/abcdef0123456789/ 200",
    "new password": "GET /password/MQ/abcdef0123456789/ 200",
    "portal token": "token ftp_abcdef0123456789 was refused",
    "vendor key": "key sk-abcdef0123456789 was refused",
    "signing secret": "whsec_abcdef0123456789",
}


def line(message: str, *, as_json: bool = False, fault: BaseException | None = None) -> str:
    exc_info = (type(fault), fault, fault.__traceback__) if fault else None
    record = logging.LogRecord("portal", logging.WARNING, "x.py", 1, message, None, exc_info)
    return RedactingFormatter([KEY, "short"], as_json=as_json).format(record)


@pytest.mark.parametrize("message", SECRETS.values(), ids=SECRETS.keys())
def test_what_looks_like_a_secret_is_taken_out(message: str) -> None:
    assert "abcdef0123456789" not in line(message)
    assert REDACTED in line(message)


def test_the_secrets_of_this_process_are_taken_out_even_of_a_traceback() -> None:
    try:
        raise ValueError(f"cannot use {KEY}")
    except ValueError as exc:
        text = line("It broke", fault=exc)
    assert KEY not in text
    assert "ValueError: cannot use" in text


FORGED = "a\r\nweb │ WARNING portal: forged\x1b[2J\u2028\u202e\ud800"


def test_what_people_type_cannot_make_a_line_of_its_own() -> None:
    """D14"""
    assert line(FORGED) == (r"WARNING portal: a\r\nweb │ WARNING portal: forged\x1b[2J\u2028\u202e\ud800")


def test_the_lines_of_a_traceback_are_set_in() -> None:
    try:
        raise ValueError(FORGED)
    except ValueError as exc:
        first, *rest = line("It broke", fault=exc).split("\n")
    assert first == "WARNING portal: It broke"
    assert rest
    assert all(each.startswith("    ") and each.isprintable() for each in rest)


def test_short_words_stay() -> None:
    assert line("a short story") == "WARNING portal: a short story"


@given(st.text(max_size=200))
def test_json_is_one_line_whatever_is_said(message: str) -> None:
    text = line(message.replace("%", ""), as_json=True)
    assert "\n" not in text
    assert json.loads(text)["level"] == "WARNING"
