"""Two connections side by side: each with its own copy of the dataset, its own jobs, its own troubles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.connections import services
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.datasets.transfer import transfer_next
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.sync import poll
from finetune_portal.worker import tasks
from tests.people import form_data, make_dataset, signed_in
from tests.provider import KEY, ScriptedProvider, breaks, says
from tests.worker.driving import fresh, text_of


@pytest.fixture
def first(settings: Any) -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        settings.SEGMIND_BASE_URL, settings.SEGMIND_API_KEY = running.url, KEY
        services.built_in()
        yield running


@pytest.fixture
def second(settings: Any, first: ScriptedProvider, dana: User) -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        settings.PROVIDER_URLS = [running.url]
        services.add(name="Second account", base_url=running.url, key=KEY, actor=dana)
        yield running


@pytest.fixture
def dataset(alice: User) -> Dataset:
    return make_dataset(alice, stored=False)


def own() -> Connection:
    return Connection.objects.get(kind="own")


def train(alice: User, dataset: Dataset, connection: Connection, **fields: Any) -> Job:
    response = signed_in(alice).post("/jobs/new/", form_data(dataset, connection=connection.pk, **fields))
    assert response.status_code == 302, response.content.decode()
    return Job.objects.latest("pk")


def work() -> None:
    """All that is due now."""
    while transfer_next() or tasks.submit_jobs():
        pass
    poll.poll_now()
    while poll.poll_next():
        pass


def test_a_job_goes_where_it_was_told_and_its_dataset_with_it(
    alice: User, dataset: Dataset, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    job = train(alice, dataset, own())
    assert job.state == "waiting"
    work()
    assert (len(first.sent("submit")), len(second.sent("submit"))) == (0, 1)
    assert second.sent("submit")[0].json["data_source_path"].startswith(second.url)
    assert fresh(job).request_id
    assert "<dd>Second account</dd>" in text_of(signed_in(alice), f"/jobs/{job.pk}/")

    other = train(alice, dataset, services.built_in())
    work()
    assert (len(first.sent("submit")), len(second.sent("submit"))) == (1, 1)
    assert first.sent("submit")[0].json["data_source_path"].startswith(first.url)
    assert fresh(other).request_id
    assert Transfer.objects.filter(dataset=dataset).exclude(finished_at=None).count() == 2


def test_a_lost_job_that_was_moved_is_found_at_both(
    alice: User, dana: User, dataset: Dataset, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    first.late = 1000
    first.script("submit", breaks(taken=True))
    job = train(alice, dataset, services.built_in())
    work()
    assert fresh(job).state == "unconfirmed"
    Job.objects.filter(pk=job.pk).update(state="needs_decision")
    signed_in(dana).post(f"/jobs/{job.pk}/decide/", {"decision": "resend"})
    signed_in(dana).post(f"/jobs/{job.pk}/connection/", {"connection": own().pk})
    work()
    assert (len(first.jobs), len(second.jobs)) == (1, 1)
    expected = {(first.jobs[0].id, services.built_in().pk), (second.jobs[0].id, own().pk)}
    first.jobs[0].hidden = 0
    for _ in range(3):
        work()
        assert set(Job.objects.values_list("request_id", "connection")) == expected
        assert fresh(job).request_id == second.jobs[0].id
    assert "The provider has a second training of this job" in text_of(signed_in(alice), f"/jobs/{job.pk}/")


def test_nobody_chooses_and_it_goes_to_the_default(
    alice: User, dana: User, dataset: Dataset, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    services.make_default(own(), actor=dana)
    signed_in(alice).post("/jobs/new/", form_data(dataset))
    work()
    assert (len(first.sent("submit")), len(second.sent("submit"))) == (0, 1)


def test_a_key_that_one_refuses_holds_back_only_its_own(
    alice: User, dataset: Dataset, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    for call in ("presigned_url", "list", "submit"):
        second.script(call, *[says(401, {"error": "no"})] * 20)
    held, sent = train(alice, dataset, own()), train(alice, dataset, services.built_in())
    work()
    assert fresh(held).state == "waiting"
    assert fresh(sent).request_id
    html = text_of(signed_in(alice))
    assert "Second account: " in html
    assert "Local engine: " not in html


def test_one_that_is_switched_off_is_neither_asked_nor_offered(
    alice: User, dana: User, dataset: Dataset, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    assert "Second account" in text_of(signed_in(alice), "/jobs/new/")
    job = train(alice, dataset, own())
    services.switch(own(), on=False, actor=dana)
    work()
    assert second.requests == []
    assert "Second account" not in text_of(signed_in(alice), "/jobs/new/")
    services.switch(own(), on=True, actor=dana)
    work()
    assert fresh(job).request_id


def test_a_file_that_is_gone_here_is_offered_only_where_it_lies(
    alice: User, first: ScriptedProvider, second: ScriptedProvider
) -> None:
    dataset = make_dataset(alice)
    Dataset.objects.update(file_removed_at=dataset.created_at)
    response = signed_in(alice).post("/jobs/new/", form_data(dataset, connection=own().pk))
    assert response.status_code == 422
    assert "nor the portal has this file any more" in response.content.decode()
    assert train(alice, dataset, services.built_in()).state == "queued"
