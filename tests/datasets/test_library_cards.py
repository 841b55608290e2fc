"""The library has one card for each dataset, with all its versions."""

from __future__ import annotations

import re
from html import unescape

from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.choices import State
from finetune_portal.projects import services as projects
from tests.people import make_dataset, make_job, signed_in

URL = "/datasets/"


def versions(owner: User, count: int, **fields: object) -> list[Dataset]:
    """A dataset and its new captions, one after the other."""
    rows = [make_dataset(owner, **fields)]
    for number in range(2, count + 1):
        recipe = {"captions": {}, "from": rows[-1].pk}
        rows.append(make_dataset(owner, parent=rows[0], version=number, recipe=recipe, **fields))
    return rows


def cards(user: User, **query: object) -> list[str]:
    """The text of each card, with the address of each link before its words."""
    html = signed_in(user).get(URL, query).content.decode()
    texts = html.partition('class="dataset-grid"')[2].split('<a class="dataset-link"')[1:]
    linked = (re.sub(r'href="(/datasets/\d+/)"[^>]*>', r"> \1 ", each) for each in texts)
    return [" ".join(unescape(re.sub(r"<[^>]*>|^[^>]*>", " ", each)).split()) for each in linked]


def test_the_newest_version_is_on_top_and_the_others_are_listed(alice: User, bob: User) -> None:
    first, second, third = versions(alice, 3)
    make_dataset(bob, name="Hats")
    make_job(alice, State.READY, dataset=first)
    make_job(alice, State.READY, dataset=third)
    hats, night = cards(bob)
    assert "Hats" in hats
    assert "version" not in hats
    assert night.index(f"/datasets/{third.pk}/ night v3") < night.index("2 other versions")
    assert night.index("2 jobs across versions") < night.index("2 other versions")
    rest = night.partition("2 other versions")[2]
    assert rest.index(f"/datasets/{second.pk}/ v2 New captions of version 1") < rest.index(
        f"/datasets/{first.pk}/ v1 Original · 1 job"
    )


def test_a_version_that_is_deleted_is_not_listed(alice: User) -> None:
    first, _, third = versions(alice, 3)
    for gone, left in ((first, "1 other version "), (third, "night v2")):
        Dataset.objects.filter(pk=gone.pk).update(deleted_at=now())
        (card,) = cards(alice)
        assert left in card
        assert f"/datasets/{gone.pk}/" not in card


def test_a_version_is_no_original_though_what_it_was_made_from_is_gone(alice: User) -> None:
    _, second, *_ = versions(alice, 4)
    second.delete()
    (card,) = cards(alice)
    assert "v3 New captions of a deleted version" in card
    assert card.count("Original") == 1


def test_a_search_finds_the_card_by_any_version(alice: User) -> None:
    first, second = versions(alice, 2)
    make_dataset(alice, name="Hats", filename="hats.zip")
    Dataset.objects.filter(pk=second.pk).update(name="Evening", filename="evening.zip")
    for query in ("night", "evening"):
        (card,) = cards(alice, q=query)
        assert f"/datasets/{second.pk}/ Evening v2" in card
        assert f"/datasets/{first.pk}/ night v1" in card


def test_a_private_project_hides_all_versions(alice: User, bob: User, dana: User) -> None:
    project = projects.add("Winter", actor=dana)
    projects.add_member(project, alice, actor=dana)
    projects.set_private(project, private=True, actor=dana)
    versions(alice, 2, project=project)
    assert len(cards(alice)) == 1
    assert cards(bob) == []


def test_pages_count_cards(alice: User) -> None:
    oldest, *_ = versions(alice, 2, name="Oldest")
    for number in range(24):
        versions(alice, 2, name=f"set {number}")
    first = cards(alice)
    assert len(first) == 24
    assert "set 23 v2" in first[0]
    before = re.search(r"before=(\d+)", signed_in(alice).get(URL).content.decode())
    assert before
    (last,) = cards(alice, before=before[1])
    assert f"/datasets/{oldest.pk}/ v1" in last


def test_more_versions_make_no_more_queries(alice: User) -> None:
    client = signed_in(alice)

    def queries() -> int:
        with CaptureQueriesContext(database) as captured:
            client.get(URL, {"q": "night"})
        return len(captured)

    versions(alice, 3)
    queries()
    before = queries()
    for _ in range(3):
        versions(alice, 4)
    assert queries() == before
