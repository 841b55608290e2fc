"""A placeholder in captions, such as [trigger], is asked about, and a version has the person's own word."""

from __future__ import annotations

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from finetune_portal.worker import tasks
from tests.datasets.corpus.zip_builder import dataset, packed
from tests.gateway.api_client import DETAILS, call, token_of
from tests.people import HTMX, make_dataset, make_job, signed_in
from tests.worker.driving import text_of

CAPTIONS = {
    "01.txt": b"[trigger] wears a hat, [Trigger] smiles",
    "02.txt": b"a hat for {name}",
    "03.txt": b"[a sign] and {braces}",
}
WORD = "Word in place of [trigger]"


@pytest.fixture
def with_placeholders(alice: User) -> Dataset:
    return make_dataset(alice, data=packed(dataset() | CAPTIONS))


def test_each_placeholder_has_a_field_for_its_word(alice: User, with_placeholders: Dataset) -> None:
    html = text_of(signed_in(alice), f"/datasets/{with_placeholders.pk}/")
    assert html.count("Word in place of ") == 2
    assert WORD in html
    assert "Word in place of {name}" in html


def test_a_version_has_the_words_in_place_of_the_placeholders(
    alice: User, with_placeholders: Dataset
) -> None:
    words = {"word-0": " zk  woman ", "word-1": "Ada"}
    signed_in(alice).post(f"/datasets/{with_placeholders.pk}/repair/", words)
    assert tasks.make_version()
    assert tasks.check_dataset()
    version = Dataset.objects.get(parent=with_placeholders)
    captions = [pair["caption"] for pair in version.pairs[:3]]
    assert captions == ["zk woman wears a hat, zk woman smiles", "a hat for Ada", "[a sign] and {braces}"]
    assert (version.state, version.placeholders, version.repairs) == (Dataset.State.READY, [], [])
    page = text_of(signed_in(alice), f"/datasets/{version.pk}/")
    assert "Repaired copy of version 1, with “zk woman” for [trigger], with “Ada” for {name}" in page
    with_placeholders.refresh_from_db()
    assert with_placeholders.pairs[0]["caption"] == CAPTIONS["01.txt"].decode()


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "live"])
@pytest.mark.parametrize("word", ["", " \u200b ", "x" * 101])
def test_what_is_no_word_is_said_at_its_field(
    alice: User, with_placeholders: Dataset, word: str, headers: dict[str, str]
) -> None:
    words = {"word-0": word, "word-1": "Ada"}
    answer = signed_in(alice).post(f"/datasets/{with_placeholders.pk}/repair/", words, headers=headers)
    html = answer.content.decode()
    assert answer.status_code == 422
    assert ("Enter the word that takes the place of [trigger]." in html) == (len(word) < 100)
    assert 'value="Ada"' in html, "what was typed stays"
    assert not Dataset.objects.filter(parent=with_placeholders).exists()


def test_the_api_says_it_with_the_job(alice: User, with_placeholders: Dataset) -> None:
    job = make_job(alice, dataset=with_placeholders)
    answer = call(token_of(alice), "GET", DETAILS, {"request_id": str(job.form_key)}).json()
    assert any("[trigger]" in warning for warning in answer["finetune"]["dataset_warnings"])
