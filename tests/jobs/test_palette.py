"""What the command palette finds, for whom, and with how much work."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.jobs import palette
from finetune_portal.jobs.choices import State
from tests.people import HTMX, make_dataset, make_job, signed_in


def titles(user: User, query: str = "") -> dict[str, list[str]]:
    return {group.title: [each.title for each in group.results] for group in palette.search(user, query)}


def test_it_finds_jobs_models_and_datasets_by_their_names(alice: User, bob: User) -> None:
    make_job(alice, State.TRAINING, name="Hats at night")
    make_job(alice, State.READY, name="Hats by day")
    make_dataset(alice, name="hat pairs")
    results = titles(bob, "hat")
    assert results["Jobs"] == ["Hats at night"]
    assert results["Models"] == ["Hats by day"]
    assert results["Datasets"] == ["hat pairs"]
    assert results["Search"] == ["Search jobs for “hat”"]
    assert titles(bob, "nothing like it").keys() == {"Search"}


def test_a_name_comes_before_a_prompt_and_jobs_of_a_sweep_differ(alice: User) -> None:
    make_job(alice, State.READY, name="Night")
    sweep = {"sweep": uuid.uuid4(), "sweep_axes": ["steps"], "instance_prompt": "turn day into night"}
    for steps in (300, 600):
        make_job(alice, State.READY, name="Hats", steps=steps, **sweep)
    (models,) = (group.results for group in palette.search(alice, "night") if group.title == "Models")
    assert [(each.title, each.detail) for each in models] == [
        ("Night", "Ready"),
        ("Hats", "600 steps · Ready"),
        ("Hats", "300 steps · Ready"),
    ]


def test_commands_are_found_by_their_words_and_need_the_right(alice: User, charlie: User, dana: User) -> None:
    assert titles(alice, "new jo")["Actions"] == ["New job"]
    assert "Dark appearance" in titles(charlie, "theme")["Actions"]
    assert "Actions" not in titles(charlie, "new job"), "a viewer trains nothing"
    assert "Audit" in titles(dana, "audit")["Go to"]
    assert "Go to" not in titles(alice, "audit")
    assert titles(dana, "alic")["People"] == ["Alice"]
    assert "People" not in titles(alice, "alic")


@pytest.mark.parametrize("query", ["", "e"])
def test_it_answers_at_most_twenty_by_a_few_queries(
    query: str, dana: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        make_job(dana, [State.READY, State.FAILED][number % 2], name=f"e {number}")
    client = signed_in(dana)
    with django_assert_max_num_queries(6):
        html = client.get("/palette/", {"q": query}, headers=HTMX).content.decode()
    assert 10 <= html.count('role="option"') <= 20


def test_each_key_that_it_shows_is_on_the_page(dana: User) -> None:
    html = signed_in(dana).get("/team/").content.decode()
    keys = {each.keys for each in (*palette.ACTIONS, *palette.PAGES) if each.keys}
    assert set(re.findall('data-key="([^"]+)"', html)) == keys
