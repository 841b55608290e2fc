"""What a log line may hold: an id to find it by, and no secret of any shape."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import TooManyFieldsSent
from django.db import OperationalError
from hypothesis import given
from hypothesis import strategies as st

from finetune_portal.web.disk_full import DiskFullError
from finetune_portal.web.logs import REDACTED, RedactingFormatter, RefusalFilter, RepeatFilter
from tests.running import ROOT

KEY = "the-team's-own-api-key"
SECRETS = {
    "header": "GET / {'x-api-key': 'abcdef0123456789', 'accept': '*/*'}",
    "cookie": "Cookie: sessionid=abcdef0123456789",
    "signed URL": "https://bucket.s3.amazonaws.com/a.zip?X-Amz-Signature=abcdef0123456789&X-Amz-Date=1",
    "query": "/finish?code=abcdef0123456789&state=1",
    "webhook": "POST /hooks/segmind/abcdef0123456789/ 200",
    "webhook of an attempt": "POST /hooks/fal/attempt/abcdef0123456789/ 200",
    "invitation": "GET /setup/abcdef0123456789/ 200",
    "confirmation of an address": "GET /settings/notices/confirm/abcdef0123456789/ 200",
    "new password": "GET /password/MQ/abcdef0123456789/ 200",
    "portal token": "token ftp_abcdef0123456789 was refused",
    "vendor key": "key sk-abcdef0123456789 was refused",
    "key of fal": "key 01234567-89ab-cdef-0123-456789abcdef:abcdef0123456789 was refused",
    "key of Replicate": "token r8_abcdef0123456789 was refused",
    "signing secret": "whsec_abcdef0123456789",
}


def line(message: str, *, as_json: bool = False, fault: BaseException | None = None) -> str:
    exc_info = (type(fault), fault, fault.__traceback__) if fault else None
    record = logging.LogRecord("portal", logging.WARNING, "x.py", 1, message, None, exc_info)
    RefusalFilter().filter(record)
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


@pytest.mark.parametrize(
    ("message", "fault", "expected"),
    [
        (
            "Full: /uploads/",
            DiskFullError(9, 0),
            "Full: /uploads/: The portal's disk has room for 0 bytes, and",
        ),
        (
            "It met an error",
            OperationalError("database is locked\nmore"),
            "It met an error: database is locked",
        ),
        ("100 % too many", TooManyFieldsSent("too many"), "100 % too many"),
    ],
)
def test_a_refusal_is_one_line(message: str, fault: Exception, expected: str) -> None:
    written = line(message, fault=fault)
    assert written.startswith(f"WARNING portal: {expected}")
    assert "\n" not in written


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


WITHOUT_FILES = """
import logging, resource
from finetune_portal.web.logs import RedactingFormatter
handler = logging.StreamHandler()
handler.setFormatter(RedactingFormatter())
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try:
    raise ValueError("a\\x1bb")
except ValueError:
    logging.getLogger().addHandler(handler)
    logging.exception("typed: %s", "c\\u202ed")
"""


def test_a_line_is_written_when_files_run_out() -> None:
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_FILES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stderr.startswith("ERROR root: typed: c\\u202ed\n    Traceback")
    assert run.stderr.endswith("ValueError: a\\x1bb\n")


def test_a_flood_of_one_kind_is_cut_short_and_counted() -> None:
    now = 0.0
    repeats = RepeatFilter(lambda: now)

    def passed(message: str, level: int = logging.WARNING) -> str:
        record = logging.LogRecord("portal", level, "x.py", 1, message, ("x",), None)
        return record.getMessage() if repeats.filter(record) else ""

    assert [passed("refused %s") for _ in range(1000)] == ["refused x"] * 30 + [""] * 970
    assert passed("another %s") == "another x"
    assert sum(bool(passed(f"<Task-{number} at {number:#x}> %s")) for number in range(1000)) == 30
    assert all(passed("served %s", logging.INFO) for _ in range(1000))
    now = 61.0
    assert passed("refused %s") == "refused x (and 970 more like this before)"
    assert passed("refused %s") == "refused x"


FLOOD = """
import logging
import logging.config

import django

from finetune_portal import gunicorn

logging.config.dictConfig(gunicorn.logconfig_dict)
django.setup()
for name in ("finetune_portal", "gunicorn.error"):
    for number in range(50):
        logging.getLogger(name).warning("%s of %s", number, name)
"""


def test_the_loggers_of_the_portal_and_of_gunicorn_cut_a_flood_short(tmp_path: Path) -> None:
    own = {"DJANGO_SETTINGS_MODULE": "finetune_portal.settings", "DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-c", FLOOD]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **own}, capture_output=True, text=True, check=True
    )
    for name in ("finetune_portal", "gunicorn.error"):
        assert done.stderr.count(f" of {name}\n") == 30


def test_no_flood_of_kinds_fills_the_memory() -> None:
    repeats = RepeatFilter()
    for number in range(2000):
        repeats.filter(
            logging.LogRecord("portal", logging.WARNING, "x.py", 1, "kind " + "x" * number, None, None)
        )
    assert len(repeats._seen) == RepeatFilter.KINDS


def test_short_words_stay() -> None:
    assert line("a short story") == "WARNING portal: a short story"


@given(st.text(max_size=200))
def test_json_is_one_line_whatever_is_said(message: str) -> None:
    text = line(message.replace("%", ""), as_json=True)
    assert "\n" not in text
    assert json.loads(text)["level"] == "WARNING"
