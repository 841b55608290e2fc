"""The base models that an engine names under /extra are trainers of its connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from finetune_portal.connections import services, trainers
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job
from finetune_portal.worker import tasks
from tests.provider import ScriptedProvider, says
from tests.worker.driving import point_at

KONTEXT = {"id": "flux-kontext", "title": "FLUX.1 Kontext", "most_inputs": 1, "parameters": {"rank": 16}}
KLEIN = {
    "id": "flux-2-klein-base-4b",
    "title": "klein",
    "licence": "Apache License 2.0",
    "most_inputs": 4,
    "parameters": {"rank": 16, "timestep_sampling": "uniform", "memory": "a lot", "colour": "red"},
}
UNKNOWN = {"id": "flux-9", "title": "FLUX 9"}


@pytest.fixture
def provider(settings: Any, db: None) -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        point_at(settings, running)
        services.built_in()
        yield running


def named(provider: ScriptedProvider, *offers: Any) -> Connection:
    """The connection, after its engine has named these base models."""
    answer = {"version": 1, "can": ["progress", "run"], "parameters": ["rank"], "trainers": offers}
    provider.script("extra", says(200, answer))
    tasks.fetch_progress()
    return Connection.objects.get()


def test_each_has_its_inputs_licence_and_defaults(provider: ScriptedProvider) -> None:
    connection = named(provider, KONTEXT, KLEIN)
    kontext, klein = trainers.of(connection)
    assert (kontext.id, kontext.title, kontext.most_inputs) == ("", "FLUX.1 Kontext", 1)
    assert (klein.id, klein.title, klein.most_inputs) == (KLEIN["id"], "FLUX.2 klein 4B base", 4)
    assert klein.licence == "Apache License 2.0"
    defaults = {each.name: each.default for each in klein.parameters}
    assert (defaults["rank"], defaults["timestep_sampling"]) == (16, "uniform")
    assert defaults["memory"] == "auto", "what the engine names is no value of it"
    assert trainers.find(connection, "") == kontext
    assert trainers.title_of(klein.id) == trainers.base_model_of(klein.id) == klein.title


def test_an_engine_without_kontext_offers_none(provider: ScriptedProvider) -> None:
    connection = named(provider, KLEIN)
    assert [each.id for each in trainers.of(connection)] == [KLEIN["id"]]
    assert trainers.find(connection, "") is None


def test_an_engine_that_names_none_trains_kontext(provider: ScriptedProvider) -> None:
    assert [each.title for each in trainers.of(named(provider))] == ["FLUX.1 Kontext"]


def test_no_job_is_sent_to_one_that_this_version_does_not_know(provider: ScriptedProvider) -> None:
    connection = named(provider, KONTEXT, UNKNOWN, {"title": "no id"}, 7)
    _kontext, unknown = trainers.of(connection)
    assert (unknown.title, unknown.is_known) == ("FLUX 9", False)
    assert trainers.find(connection, "flux-9") is None


def test_a_job_of_klein_is_a_job_of_the_engine() -> None:
    assert Job(trainer="flux-2-klein-base-4b").is_at_segmind
    assert not Job(trainer="fal-ai/flux-2-trainer/edit").is_at_segmind
