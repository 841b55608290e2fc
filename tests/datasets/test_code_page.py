"""The browser asks in which code page names and captions are, and reads them as the server's check will."""

from __future__ import annotations

from base64 import b64encode

import pytest

from finetune_portal.accounts.models import User
from tests.people import signed_in

pytestmark = pytest.mark.django_db


def asked(person: User, kind: str, *raws: bytes) -> dict[str, object]:
    samples = "\n".join(b64encode(raw).decode() for raw in raws)
    response = signed_in(person).post("/datasets/code-page/", {"kind": kind, "samples": samples})
    assert response.status_code == 200
    return dict(response.json())


def test_a_page_of_two_bytes_is_told_by_its_name(alice: User) -> None:
    page = asked(alice, "names", "予定表.txt".encode("cp932"), "帽子.png".encode("cp932"))
    assert page == {"label": "Shift-JIS", "encoding": "shift_jis", "characters": "", "isForAll": True}


def test_a_page_of_single_bytes_is_told_by_its_characters(alice: User) -> None:
    page = asked(alice, "names", "größe".encode("cp437"), "café".encode("cp437"))
    assert page["encoding"] == ""
    assert page["characters"] == bytes(range(128, 256)).decode("cp437")
    assert asked(alice, "texts", "the man’s hat".encode("cp1252"))["label"] == "Windows-1252"


def test_bytes_that_are_no_text_have_no_page(alice: User) -> None:
    assert asked(alice, "texts", b"\x81\xff\x98\xff")["label"] == ""


@pytest.mark.parametrize(
    "data", [{}, {"kind": "names", "samples": "not base64!"}, {"kind": "x", "samples": ""}]
)
def test_anything_else_is_refused(alice: User, data: dict[str, str]) -> None:
    assert signed_in(alice).post("/datasets/code-page/", data).status_code == 422
