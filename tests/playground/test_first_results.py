"""The model of a job that became ready is run by itself, once, where that costs nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.timeline import Source, move
from finetune_portal.playground import first_results, services
from finetune_portal.playground.models import FirstResults, Generation
from finetune_portal.projects import services as projects
from tests.people import make_job, signed_in
from tests.playground.conftest import SLUG, ordered, ready, run_task
from tests.provider import ScriptedProvider
from tests.worker.driving import text_of


@pytest.fixture
def engine(provider: ScriptedProvider) -> ScriptedProvider:
    """A provider that runs models for nothing."""
    return provider


def became_ready(
    owner: User, dataset: Dataset, *, abilities: tuple[str, ...] = ("run",), trainer: str = ""
) -> Job:
    job = make_job(owner, "deploying", request_id="r-1", slug=SLUG, dataset=dataset, trainer=trainer)
    Connection.objects.update(capabilities=list(abilities))
    job = Job.objects.get(pk=job.pk)
    assert move(job, "ready", "Ready", source=Source.POLL)
    return job


def look() -> bool:
    """What the worker does for one job, whatever pause it would make."""
    FirstResults.objects.update(due_at=now() - timedelta(seconds=1))
    return first_results.queue_next()


def test_three_pairs_are_run_once_and_shown(alice: User, engine: ScriptedProvider, dataset: Dataset) -> None:
    job = became_ready(alice, dataset)
    assert look()
    assert not look()
    made = list(Generation.objects.order_by("pk"))
    assert [each.input.number for each in made] == [0, 1, 2]
    assert [each.prompt for each in made] == [
        pair["caption"] or job.instance_prompt for pair in dataset.pairs[:3]
    ]
    assert {(each.owner, each.is_automatic, each.strength) for each in made} == {(alice, True, 1.0)}
    assert set(AuditEvent.objects.filter(action="model.run").values_list("actor", flat=True)) == {None}
    page = f"/jobs/{job.pk}/"
    assert "The first pictures are being made" in text_of(signed_in(alice), page)
    while run_task():
        pass
    html = text_of(signed_in(alice), page)
    assert all(f'id="result-{each.pk}"' in html for each in made)
    assert "by the portal," in html
    assert "The portal runs the model on 3 pictures of the dataset" in html


@pytest.mark.parametrize(("trainer", "guidance"), [("", 2.5), ("flux-2-klein-base-4b", None)])
def test_a_base_model_of_an_engine_has_a_guidance_of_its_own(
    alice: User, engine: ScriptedProvider, dataset: Dataset, trainer: str, guidance: float | None
) -> None:
    became_ready(alice, dataset, trainer=trainer)
    assert look()
    assert set(Generation.objects.values_list("steps", "guidance")) == {(28, guidance)}


def test_nothing_is_run_where_it_costs(alice: User, engine: ScriptedProvider, dataset: Dataset) -> None:
    became_ready(alice, dataset, abilities=())
    assert not look()
    assert not Generation.objects.exists()


def test_nothing_is_run_for_who_may_run_nothing_any_more(
    alice: User, dana: User, engine: ScriptedProvider, dataset: Dataset
) -> None:
    project = projects.add("Winter", actor=dana)
    projects.set_private(project, private=True, actor=dana)
    job = became_ready(alice, dataset)
    Job.objects.filter(pk=job.pk).update(project=project)
    assert look()
    assert not Generation.objects.exists()
    Job.objects.filter(pk=job.pk).update(project=None)
    type(alice).objects.filter(pk=alice.pk).update(role="viewer")
    first_results.want(Job.objects.get(pk=job.pk))
    assert look()
    assert not Generation.objects.exists()


def test_nothing_is_run_where_a_provider_begins_to_charge(
    alice: User, engine: ScriptedProvider, dataset: Dataset
) -> None:
    became_ready(alice, dataset)
    Connection.objects.update(capabilities=[])
    assert look()
    assert not Generation.objects.exists()
    assert not FirstResults.objects.exists()


def test_what_was_deleted_does_not_come_back(alice: User, engine: ScriptedProvider, dataset: Dataset) -> None:
    became_ready(alice, dataset)
    look()
    for generation in Generation.objects.all():
        services.delete(generation, actor=alice)
    assert not look()
    assert not Generation.objects.exists()


def test_a_worker_that_died_before_the_end_leaves_no_doubles(
    alice: User, engine: ScriptedProvider, dataset: Dataset
) -> None:
    job = became_ready(alice, dataset)
    look()
    Generation.objects.latest("pk").delete()
    Generation.objects.update(state="done", kind="png")
    FirstResults.objects.create(job=job)
    assert look()
    assert set(Generation.objects.values_list("input__number", flat=True)) == {0, 1, 2}
    assert Generation.objects.count() == 3


def test_what_its_owner_asked_for_goes_first(alice: User, engine: ScriptedProvider, dataset: Dataset) -> None:
    mine = ordered(signed_in(alice), ready(alice, dataset))
    became_ready(alice, dataset)
    assert look()
    assert list(Generation.objects.all()) == [mine]
    Generation.objects.update(state="failed")
    assert look()
    assert Generation.objects.filter(is_automatic=True).count() == 3


def test_a_simulated_model_is_waited_for_and_then_left(
    alice: User, engine: ScriptedProvider, dataset: Dataset
) -> None:
    job = became_ready(alice, dataset)
    Job.objects.filter(pk=job.pk).update(is_simulated=True)
    assert look()
    assert FirstResults.objects.exists(), "what the provider says of it may still be incomplete"
    Job.objects.filter(pk=job.pk).update(ended_at=now() - 2 * first_results.WAITED_FOR)
    assert look()
    assert not FirstResults.objects.exists()
    assert not Generation.objects.exists()
