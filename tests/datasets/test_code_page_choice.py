"""Names in an old code page: a wrong guess is replaced by another page, of which the names are shown."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.datasets.checker import code_pages
from finetune_portal.datasets.checker.inspect import inspect_zip
from finetune_portal.datasets.models import Dataset
from finetune_portal.worker import tasks
from tests.datasets.corpus.zip_builder import CAPTION, Entry, build, picture
from tests.gateway.api_client import SUBMIT, call, error_of, submit_body, token_of
from tests.people import HTMX, make_dataset, signed_in
from tests.worker.driving import text_of

HOUSE = "дом"  # in code page 866 it is three letters, too: фюь


def zip_of(*names: bytes, caption: bytes = CAPTION) -> bytes:
    members = []
    for number, name in enumerate(names):
        for ending, data in (
            (b"_start.png", picture(colour=(number, 0, 0))),
            (b"_end.png", picture(colour=(number, 0, 90))),
            (b".txt", caption),
        ):
            members.append(Entry(name + ending, data, flags=0))
    return build(members)


def houses(**options: Any) -> bytes:
    return zip_of(*(f"{HOUSE}{number}".encode("cp1251") for number in range(1, 6)), **options)


@pytest.fixture
def misread(alice: User) -> Dataset:
    return make_dataset(alice, data=houses())


def readings(user: User, dataset: Dataset, field: str = "code_page") -> dict[str, str]:
    """The options of the question, by the code page."""
    page = text_of(signed_in(user), f"/datasets/{dataset.pk}/")
    select = re.search(rf"<select name=\"{field}\".*?</select>", page, re.DOTALL)
    options = re.findall(r'<option value="([^"]+)"[^>]*>([^<]+)</option>', select[0] if select else "")
    return {value: html.unescape(text) for value, text in options}


def repaired(user: User, dataset: Dataset, page: str, field: str = "code_page") -> Dataset:
    signed_in(user).post(f"/datasets/{dataset.pk}/repair/", {field: page})
    tasks.make_version()
    tasks.check_dataset()
    return Dataset.objects.latest("pk")


def test_each_code_page_shows_the_names_that_it_gives(alice: User, misread: Dataset) -> None:
    options = readings(alice, misread)
    assert next(iter(options.items())) == (
        "cp866",
        "“фюь1_start.png”, “фюь2_start.png” and “фюь3_start.png” (code page 866)",
    ), "the guess comes first"
    assert options["cp1251"].startswith("“дом1_start.png”, “дом2_start.png”")
    assert len(set(options.values())) == len(options)


def test_the_copy_has_the_names_of_the_chosen_code_page(alice: User, misread: Dataset) -> None:
    copy = repaired(alice, misread, "cp1251")
    assert (copy.state, copy.warnings, copy.code_pages) == (Dataset.State.READY, [], [])
    assert [pair["index"] for pair in copy.pairs] == [f"{HOUSE}{number}" for number in range(1, 6)]
    page = text_of(signed_in(alice), f"/datasets/{copy.pk}/")
    assert "Repaired copy of version 1, with names read as Windows-1251" in page
    assert repaired(alice, misread, "cp1251") == copy, "a second request returns the same copy"
    guessed = repaired(alice, misread, "cp866")
    assert guessed.pairs[0]["index"] == "фюь1"
    assert repaired(alice, misread, "") == guessed


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "live"])
def test_a_code_page_that_was_not_offered_makes_no_copy(
    alice: User, misread: Dataset, headers: dict[str, str]
) -> None:
    url = f"/datasets/{misread.pk}/repair/"
    answer = signed_in(alice).post(url, {"code_page": "utf-7"}, headers=headers)
    assert answer.status_code == 422
    assert "Select one of these." in answer.content.decode()
    assert not Dataset.objects.filter(parent=misread).exists()


def test_a_script_gets_the_copy_that_a_person_chose_the_names_of(alice: User) -> None:
    caption = "надень шапку".encode("cp1251")
    dataset = make_dataset(alice, data=houses(caption=caption), state=Dataset.State.REJECTED, stored=False)
    body = submit_body(f"http://testserver/finetune/uploads/{dataset.key}/{dataset.filename}")
    assert f"/datasets/{dataset.pk}/; then submit" in error_of(
        call(token_of(alice, "train"), "POST", SUBMIT, body)
    )
    copy = repaired(alice, dataset, "cp1251")
    assert call(token_of(alice, "train"), "POST", SUBMIT, body).status_code == 200
    assert copy.jobs.get().dataset.pairs[0] | {"index": "дом1", "caption": "надень шапку"} == copy.pairs[0]


def test_a_code_page_that_lacks_a_byte_of_any_name_is_not_offered(tmp_path: Path) -> None:
    names = [f"{HOUSE}{number}".encode("cp1251") for number in range(4)]
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of(*names, b"\x98"))  # which Windows-1251 does not have
    (question,) = inspect_zip(path).questions
    assert {choice["page"] for choice in question["choices"]} >= {"cp866", "cp850"}
    assert "cp1251" not in {choice["page"] for choice in question["choices"]}


def test_the_last_of_thousands_of_names_counts_for_the_guess() -> None:
    names = [f"帽子{number}".encode("cp932") for number in range(2_000)]
    assert code_pages.guess(names, code_pages.IN_NAMES) == "cp932"
    late = b"\x81 "  # no character of Shift-JIS begins so
    page = code_pages.guess([*names, late], code_pages.IN_NAMES)
    assert late.decode(page)


def test_a_verdict_of_an_earlier_release_asks_as_it_did(alice: User, misread: Dataset) -> None:
    del misread.verdict["questions"][0]["choices"]
    misread.save()
    page = text_of(signed_in(alice), f"/datasets/{misread.pk}/")
    assert "Are the names right, read as code page 866: “фюь1_start.png”?" in page
    assert "Yes, make a repaired copy" in page
    assert "Which names are right?" not in page


COAT = (
    "kapelusz na głowę, płaszcz i źdźbło"  # in the code page of a Mac in Poland; Windows-1250 reads it, too
)


def captioned(text: str, page: str) -> bytes:
    return zip_of(*(f"{number}".encode() for number in range(1, 6)), caption=text.encode(page))


def refused(owner: User, data: bytes) -> Dataset:
    return make_dataset(owner, data=data, state=Dataset.State.REJECTED, stored=False)


def test_captions_in_mac_roman_are_read_as_they_were_written(alice: User) -> None:
    dataset = make_dataset(alice, data=captioned("café déjà vu à l’été", "mac_roman"))
    assert dataset.pairs[0]["caption"] == "café déjà vu à l’été"
    (page, text), *_ = readings(alice, dataset, "caption_page").items()
    assert (page, text) == ("mac_roman", "“café déjà vu à l’été” (Mac Roman)")


def test_each_code_page_shows_how_the_captions_read(alice: User) -> None:
    dataset = make_dataset(alice, data=captioned(COAT, "mac_latin2"))
    options = readings(alice, dataset, "caption_page")
    assert dataset.pairs[0]["caption"] != COAT, "the guess is wrong"
    assert options["mac_latin2"] == f"“{COAT}” (Mac Central European)"
    assert 1 < len(set(options.values())) == len(options) <= code_pages.MOST_CHOICES
    copy = repaired(alice, dataset, "mac_latin2", "caption_page")
    assert (copy.state, copy.pairs[0]["caption"]) == (Dataset.State.READY, COAT)
    page = text_of(signed_in(alice), f"/datasets/{copy.pk}/")
    assert "with captions read as Mac Central European" in page
    assert repaired(alice, dataset, "mac_latin2", "caption_page") == copy


def test_a_script_chooses_the_code_pages(alice: User) -> None:
    dataset, token = refused(alice, captioned(COAT, "mac_latin2")), token_of(alice, "train")
    address = f"http://testserver/finetune/uploads/{dataset.key}/{dataset.filename}"
    sentence = error_of(call(token, "POST", SUBMIT, submit_body(address)))
    assert "Or send this again with “caption_code_page” as one of " in sentence
    assert f"mac_latin2 (“{COAT}”)" in sentence
    wrong = call(token, "POST", SUBMIT, submit_body(address, caption_code_page="utf-7"))
    assert (wrong.status_code, error_of(wrong)[:28]) == (422, "caption_code_page: Send one ")
    body = submit_body(address, caption_code_page="mac_latin2")
    first, again = call(token, "POST", SUBMIT, body), call(token, "POST", SUBMIT, body)
    assert (first.status_code, again.status_code) == (200, 200), first.content
    tasks.make_version()
    tasks.check_dataset()
    copy = Dataset.objects.get(parent=dataset)
    assert (copy.jobs.count(), copy.pairs[0]["caption"]) == (2, COAT)


def test_a_script_answers_both_questions_or_none(alice: User) -> None:
    dataset, token = refused(alice, houses(caption="café".encode("mac_roman"))), token_of(alice, "train")
    address = f"http://testserver/finetune/uploads/{dataset.key}/{dataset.filename}"
    names, captions = {"name_code_page": "cp1251"}, {"caption_code_page": "mac_roman"}
    for fields in (names, captions):
        sentence = error_of(call(token, "POST", SUBMIT, submit_body(address, **fields)))
        assert "“name_code_page” as one of " in sentence
        assert " and with “caption_code_page” as one of " in sentence
    assert not Dataset.objects.filter(parent=dataset).exists()
    assert call(token, "POST", SUBMIT, submit_body(address, **names, **captions)).status_code == 200
    tasks.make_version()
    tasks.check_dataset()
    pair = Dataset.objects.get(parent=dataset).pairs[0]
    assert (pair["index"], pair["caption"]) == (f"{HOUSE}1", "café")


def test_what_a_person_must_answer_is_not_left_to_a_script(alice: User) -> None:
    dataset = refused(alice, captioned("[trigger] à l’été", "mac_roman"))
    address = f"http://testserver/finetune/uploads/{dataset.key}/{dataset.filename}"
    body = submit_body(address, caption_code_page="mac_roman")
    sentence = error_of(call(token_of(alice, "train"), "POST", SUBMIT, body))
    assert f"/datasets/{dataset.pk}/; then submit" in sentence
    assert "caption_code_page" not in sentence
    assert not Dataset.objects.filter(parent=dataset).exists()
