"""What can be trained where is chosen by cards, of which the most used stand first."""

from __future__ import annotations

import re

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections import trainers
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job
from tests.fal.calls import KLEIN
from tests.people import form_data, make_job, signed_in

URL = "/jobs/new/"
LAST = "fal-ai/qwen-image-edit-trainer"


@pytest.fixture(autouse=True)
def engine(db: None) -> Connection:
    return connections.built_in()


@pytest.fixture
def fal(alice: User) -> Connection:
    return connections.add(name="Agency", provider="fal", key="a-key", actor=alice)


def cards(user: User, **query: object) -> tuple[list[str], list[str]]:
    """The values of the cards outside and inside the fold."""
    html = signed_in(user).get(URL, query).content.decode()
    first, _, rest = html.partition("All trainers")
    values = [re.findall(r'name="offer" value="([^"]+)"', part) for part in (first, rest)]
    return values[0], values[1]


def test_one_choice_asks_nothing(alice: User) -> None:
    assert cards(alice) == ([], [])


def test_the_most_used_stand_outside_the_fold(alice: User, engine: Connection, fal: Connection) -> None:
    for _ in range(2):
        make_job(alice, connection=fal, trainer=LAST)
    first, rest = cards(alice)
    assert first[0] == str(engine.pk), "the chosen one is among them"
    assert f"{fal.pk} {LAST}" in first
    assert len(first) + len(rest) == 1 + len(trainers.of(fal))


def test_base_models_of_one_engine_differ(alice: User, engine: Connection) -> None:
    named = {"availability": "open", "is_known": True, "parameters": {}, "most_inputs": 1}
    kontext = {"id": "flux-kontext", "title": "FLUX.1 Kontext", "licence": "Non-commercial", **named}
    klein = {"id": "flux-2-klein-base-4b", "title": "klein", "licence": "Apache License 2.0", **named}
    Connection.objects.filter(pk=engine.pk).update(trainers=[kontext, klein])
    html = signed_in(alice).get(URL).content.decode()
    texts = [
        " ".join(re.sub("<[^>]*>", " ", each).split())
        for each in html.split("</label>")
        if 'name="offer"' in each
    ]
    assert len(texts) == 2
    for text, each in zip(texts, ("FLUX.1 Kontext", "FLUX.2 klein 4B base"), strict=True):
        assert f"{each} {engine}" in text
    assert "Non-Commercial" in texts[0]
    assert "Apache License 2.0" in texts[1]


def test_a_closed_trainer_says_why_and_is_refused(alice: User, fal: Connection) -> None:
    trainers.note_closed(fal, KLEIN)
    client = signed_in(alice)
    html = client.get(URL).content.decode()
    card = html.partition(f'value="{fal.pk} {KLEIN}"')[2].partition("</label>")[0]
    assert card.lstrip().startswith("disabled")
    assert "Takes no new jobs" in card
    answer = client.post(URL, form_data(offer=f"{fal.pk} {KLEIN}"))
    assert "“Agency” takes no new jobs for this." in answer.content.decode()
    assert not Job.objects.exists()
