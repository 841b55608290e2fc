"""The form of a new job says how many models it starts, of what, in which time and at what price."""

from __future__ import annotations

import re

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.providers.segmind import parameters
from tests.jobs.test_expected_time import trained_three
from tests.people import make_dataset, signed_in

URL = "/jobs/new/price/"


@pytest.fixture(autouse=True)
def engine(db: None) -> Connection:
    connection = connections.built_in()
    connection.parameters = list(parameters.KNOWN)
    connection.save()
    return connection


def plan(user: User, **query: object) -> str:
    typed = {"learning_rate": "0.0004", "steps": "300", "dataset": make_dataset(user).pk, **query}
    html = signed_in(user).get(URL, typed).content.decode()
    part = html.partition('id="plan"')[2].partition(">")[2].partition("</div>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", part).split())


def test_one_job(alice: User) -> None:
    trained_three(alice)
    assert plan(alice) == "6 pairs × 300 steps 1 model · about 4 min"


def test_a_sweep_over_parameters(alice: User) -> None:
    shown = plan(alice, steps="300; 1000", **{"parameter-rank": "8; 16; 32"})
    assert shown == "6 pairs × 300 to 1,000 steps 6 models"


@pytest.mark.parametrize("wrong", [{"steps": "many"}, {"learning_rate": ""}, {"parameter-rank": "x; y"}])
def test_nothing_is_guessed_from_wrong_values(alice: User, wrong: dict[str, str]) -> None:
    assert plan(alice, **wrong) == "How many models start is not known yet."
