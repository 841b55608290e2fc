"""A plain form whose session ended comes back with what was typed, under the labels of its page."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from django.test import Client

from finetune_portal.accounts.middleware import NOT_SHOWN
from finetune_portal.accounts.models import User
from tests.people import make_dataset, make_job, signed_in
from tests.worker.driving import text_of

TYPED = {"text", "number", "textarea"}
WORDS = "some words"


class Fields(HTMLParser):
    """The labels of the fields of a page that take text, by the address of their form and their name."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.action, self.label = "", ""
        self.labels: dict[str, str] = {}
        self.fields: dict[tuple[str, str], str] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        kind = given.get("type", "text") if tag == "input" else tag
        if tag == "form":
            self.action = given.get("action", "")
        elif tag == "label":
            self.label = given.get("for", "")
        elif kind in TYPED and given.get("name") and not given.get("form"):
            self.fields[self.action, given["name"]] = given["id"]

    def handle_data(self, data: str) -> None:
        if self.label:
            self.labels[self.label] = data.strip()
            self.label = ""

    def of(self, action: str) -> dict[str, str]:
        return {name: self.labels[key] for (form, name), key in self.fields.items() if form == action}


@pytest.fixture
def pages(dana: User) -> dict[str, str]:
    """Where each form goes that people write words in, and its page."""
    dataset = make_dataset(dana)
    job = make_job(dana, "ready", dataset=dataset, slug="s", cloud_storage_url="https://a.example/b")
    page, library = f"/jobs/{job.pk}/", f"/datasets/{dataset.pk}/"
    return {
        "/jobs/new/": "/jobs/new/",
        f"{page}describe/": page,
        f"{page}try/": f"{page}try/",
        "/views/": "/?mine=on",
        f"{library}rename/": library,
        "/settings/connections/add/": "/settings/",
        "/settings/notices/add/": "/settings/notices/",
        "/tokens/": "/tokens/",
        "/profile/": "/profile/",
    }


def test_what_was_typed_stands_under_the_labels_of_its_page(dana: User, pages: dict[str, str]) -> None:
    client = signed_in(dana)
    for action, page in pages.items():
        fields = Fields(text_of(client, page))
        expected = fields.of(action) or fields.of("")
        expected = {name: label for name, label in expected.items() if not NOT_SHOWN.search(name)}
        assert expected, action
        answer = Client().post(action, dict.fromkeys([*expected, "query"], WORDS))
        assert answer.status_code == 401, action
        html = answer.content.decode()
        assert html.count(f'value="{WORDS}"') == len(expected), action
        assert sorted(Fields(html).labels.values()) == sorted(expected.values()), action


def test_captions_are_numbered_as_they_stand_on_their_page(dana: User) -> None:
    dataset = make_dataset(dana)
    answer = Client().post(f"/datasets/{dataset.pk}/captions/", {"for_all": "", "caption-1": WORDS})
    assert list(Fields(answer.content.decode()).labels.values()) == ["Caption 2"]
    odd = f"caption-1={WORDS}&caption-{'1' * 5000}={WORDS}"
    answer = Client().post(
        f"/datasets/{dataset.pk}/captions/", odd, content_type="application/x-www-form-urlencoded"
    )
    assert answer.status_code == 401, "a number too long for Python is no row"
