"""Hostile forms, files, headers and pieces of paths, to every URL and method of the table in test_access.py.

Whatever comes, the answer is no 500: here an exception in a view would end the test with its traceback. The
calls of the API are also tried against their own OpenAPI document (tests/gateway/test_sdk_and_openapi.py).
The long share, with other examples each time: `python -m pytest -m slow tests/test_fuzz.py`.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.conf import settings
from django.db import transaction
from django.forms import BaseForm
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.urls import reverse
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as trying
from hypothesis import strategies as st

from finetune_portal.accounts.models import User
from finetune_portal.datasets import sample
from finetune_portal.gateway.services import new_token
from tests.people import form_data, sign_in
from tests.running import ROOT
from tests.test_access import ROUTES, Line, address, route_values, table

pytestmark = pytest.mark.long

__all__ = ["route_values"]

HOSTILE = [
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "a\r\nSet-Cookie: a=b",
    "9" * 400,
    "-1",
    "0",
    "9223372036854775808",
    "1e999",
    "nan",
    "-inf",
    "1_000",
    "٣٠٠",
    "0x10",
    "[]",
    "{}",
    "null",
    '{"$gt": ""}',
    "' OR 1=1 --",
    "<script>alert(1)</script>",
    "{{ settings.SECRET_KEY }}{% debug %}",
    "%s%(name)s{0}",
    "../../etc/passwd",
    "http://[::1",
    "http://a:b@127.0.0.1:99999/",
    "//evil.example",
    "javascript:alert(1)",
    "mailto:",
    "\u202eevil",
    "e\u0301" * 50,
    "😀" * 300,
    "x" * 70_000,
    "2026-02-30",
    "9999-12-31",
    "0000-00-00",
    "-" * 36,
]
TAME = [
    "true",
    "1",
    "2",
    "on",
    "ready",
    "email",
    "add",
    "300",
    "0.0004",
    "2026-11-23",
    "ada@example.com",
    "a,b",
]
TAME += ["ada@example.com", "https://example.com/a.zip", "state=ready&q=a", "name", "-name"]
TAME += [str(uuid.UUID(int=1))]
HEADERS = ["HX-Request", "HX-Current-URL", "HX-Target", "Referer", "Origin", "Accept", "Cookie", "Range"]
HEADERS += ["If-None-Match", "If-Modified-Since", "X-Forwarded-For", "X-Forwarded-Proto", "Accept-Language"]
HEADERS += ["Upload-Length", "Upload-Metadata", "Upload-Offset", "Tus-Resumable", "Sec-Fetch-Site"]
HEADERS += ["x-api-key", "Authorization", "Idempotency-Key", "webhook-id", "webhook-timestamp"]
TYPES = ["", "application/json", "text/plain", "multipart/form-data", "multipart/form-data; boundary=\0"]
TYPES += ["application/x-www-form-urlencoded; charset=utf-7", "a/b; charset=nowhere", "\ud800"]

ZIP = sample.make()
KNOWN = {*range(200, 500), 502, 503}  # the last two: the provider or the worker is away
LONGEST = 4000  # gunicorn takes no longer line

hostile = st.sampled_from(HOSTILE) | st.text(max_size=40)
value = st.sampled_from(TAME) | hostile
patient = trying(database=None, deadline=None, suppress_health_check=list(HealthCheck))
few = trying(patient, max_examples=3, derandomize=True, phases=[Phase.generate])
many = trying(patient, max_examples=150, print_blob=True)


def forms(above: type[BaseForm] = BaseForm) -> Iterator[type[BaseForm]]:
    for form in above.__subclasses__():
        yield form
        yield from forms(form)


def names() -> list[str]:
    """Every field there is: those of the forms, those written in templates, those read from a query."""
    fields = {name for form in forms() for name in getattr(form, "base_fields", {})}
    for path in (ROOT / "templates").rglob("*.html"):
        fields |= set(re.findall(r'name="([\w-]+)"', path.read_text()))
    for path in (ROOT / "finetune_portal").rglob("*.py"):
        fields |= set(re.findall(r'\.get(?:list)?\("([\w-]+)"', path.read_text()))
    return sorted(fields)


NAMES = names()


@st.composite
def pairs(draw: st.DrawFn, honest: dict[str, Any]) -> list[tuple[str, str]]:
    """Every field there is with something in it, or an honest form of which a few fields were turned."""
    if draw(st.booleans()):
        start = draw(st.integers(0, len(NAMES) - 1))  # a line is cut at its end
        values = draw(st.lists(value, min_size=len(NAMES), max_size=len(NAMES)))
        return list(zip(NAMES[start:] + NAMES[:start], values, strict=True))
    turned = draw(
        st.dictionaries(st.sampled_from(NAMES), st.lists(value, min_size=1, max_size=3), max_size=5)
    )
    whole = {name: [str(one)] for name, one in honest.items()} | turned
    return [(name, one) for name, several in whole.items() for one in several]


@st.composite
def bodies(draw: st.DrawFn, fields: list[tuple[str, str]]) -> tuple[bytes, str]:
    """The same form in one of the shapes in which a body may come."""
    match draw(st.sampled_from(["form", "form", "form", "file", "json", "raw"])):
        case "form":
            return encoded(fields), "application/x-www-form-urlencoded"
        case "file":
            content = draw(st.sampled_from([b"", b"PK\x05\x06", ZIP]) | st.binary(max_size=200))
            file = BytesIO(content)
            file.name = draw(st.sampled_from(["a.zip", "../a.zip", "\n.zip", "a" * 300, "é\0"]))
            clean = {name: one.encode("utf-8", "replace").decode() for name, one in fields}
            return encode_multipart(BOUNDARY, {**clean, "file": file}), MULTIPART_CONTENT
        case "json":
            return json.dumps(dict(fields)).encode(), "application/json"
    return draw(st.binary(max_size=200)), draw(st.sampled_from(TYPES))


def encoded(fields: list[tuple[str, str]]) -> bytes:
    return urlencode(fields, errors="surrogatepass").encode()


def harsh(fields: dict[str, str]) -> dict[str, str]:
    """Headers as they can come over the wire: Latin-1, and no line ends."""
    return {
        name: re.sub(r"[\r\n]", "", one.encode("utf-8", "replace").decode("latin-1"))[:2000]
        for name, one in fields.items()
    }


class Admin(Client):
    """May do all that an address asks for, by session and by token; no example leaves anything behind."""

    def __init__(self, user: User) -> None:
        rights = ["train", "publish", "download"]
        super().__init__(headers={"x-api-key": new_token(owner=user, name="t", rights=rights, days=1)[1]})
        sign_in(self, user)
        self.session_key = self.cookies[settings.SESSION_COOKIE_NAME].value

    def status_of(
        self, method: str, url: str, body: bytes, kind: str, headers: dict[str, str], *, known: bool
    ) -> int:
        self.cookies.clear()
        if known:
            self.cookies[settings.SESSION_COOKIE_NAME] = self.session_key
        with transaction.atomic():
            response = self.generic(method, url, body, kind, headers=headers)
            if response.streaming:
                list(response)
            transaction.set_rollback(True)
        return response.status_code


def app_of(line: Line) -> str:
    return re.split("[:_]", line.name)[0]


def attack(admin: Admin, line: Line, route_values: dict[str, str], effort: Any) -> None:
    honest = {**form_data(), "dataset": route_values["datasets"], "job": route_values["jobs"]}

    @effort
    @given(data=st.data())
    def send(data: st.DataObject) -> None:
        turned = data.draw(st.dictionaries(st.sampled_from(sorted(route_values)), hostile, max_size=2))
        pieces = {name: quote(one[:2000], safe="", errors="surrogatepass") for name, one in turned.items()}
        url = address(line.name, route_values | pieces)
        fields = data.draw(pairs(honest))
        headers = harsh(data.draw(st.dictionaries(st.sampled_from(HEADERS), value, max_size=4)))
        if line.method in ("GET", "HEAD"):
            query = encoded([(name, one[:100]) for name, one in fields]).decode()
            url, body, kind = f"{url}?{query[:LONGEST]}", b"", ""
        else:
            body, kind = data.draw(bodies(fields))
        known = data.draw(st.sampled_from([True, True, True, False]))
        status = admin.status_of(line.method, url, body, kind, headers, known=known)
        assert status in KNOWN, (status, line.method, url, fields, headers)

    send()


@pytest.mark.parametrize("effort", [few, pytest.param(many, marks=pytest.mark.slow)], ids=["few", "many"])
@pytest.mark.parametrize("app", sorted({app_of(line) for line in table()}))
def test_nothing_that_is_sent_makes_a_fault(
    app: str, effort: Any, route_values: dict[str, str], dana: User, settings: Any
) -> None:
    settings.SEGMIND_BASE_URL = "http://127.0.0.1:9"  # nobody is there
    admin = Admin(dana)
    for line in table():
        if app_of(line) == app:
            attack(admin, line, route_values, effort)


def test_it_knows_the_fields() -> None:
    assert {"learning_rate", "sweep", "before", "query", "username"} <= set(NAMES)
    assert len(ROUTES) > 60


def test_what_is_no_address_leads_nowhere(alice: User) -> None:
    """Found above: in allauth's look at `next`, and in that of htmx at the page that it asks from."""
    lost = "http://[::1"
    response = Client().get("/jobs/table/", headers={"HX-Request": "true", "HX-Current-URL": lost})
    assert (response.status_code, response.headers["HX-Redirect"]) == (401, "/login/?next=%2F&ended=on")
    signed_in = Client()
    signed_in.force_login(alice)
    for path in ("/login/", reverse("mfa_authenticate"), reverse("account_reauthenticate")):
        assert signed_in.get(path, {"next": lost}).headers.get("Location", "/") == "/", path
