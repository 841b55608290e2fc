"""Whatever a provider answers, the worker goes on and no page breaks (docs/reliability.md, 4: B4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils.timezone import now
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from finetune_portal.accounts.models import User
from finetune_portal.connections import capabilities
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.transfer import schedule_transfer
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.webhooks.models import Delivery
from finetune_portal.worker.tasks import TASKS
from tests.memory import Watch
from tests.people import make_dataset, make_job, signed_in
from tests.provider import CALLS, Answer, ScriptedProvider, raw, says
from tests.providers.segmind.test_random_responses import (
    HEADERS,
    NAMES,
    documents,
    header_values,
    statuses,
    values,
)
from tests.worker.driving import follow_now, point_at, send_now

MANY = 2000
KNOWN = "uuid"  # an id that the hostile documents often name
WORK = [
    task
    for task in TASKS
    if task.name in ("transfer", "submit", "poll", "fetch-progress", "process-delivery")
]
CAN = ["progress", "cancel"]

watch = Watch()
bodies = documents.map(lambda document: says(200, document)) | st.binary(max_size=80).map(
    lambda body: says(200, body)
)
refusals = st.builds(lambda status, document: says(status, document, taken=False), statuses, documents)
heads = st.lists(st.tuples(st.sampled_from(HEADERS.split()), header_values), max_size=3)
odd_heads = st.builds(
    lambda head, body: raw(
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"%s: %s\r\n" % (n.encode(), v) for n, v in head) + b"\r\n" + body
    ),
    heads,
    st.binary(max_size=60),
)
ids = st.just(KNOWN) | st.text(min_size=1, max_size=20)
fields = st.dictionaries(st.sampled_from([*NAMES.split(), "cloud_storage_url"]), values, max_size=8)
items = st.builds(lambda document, key: {**document, "id": key}, fields, ids)
near = st.lists(items, max_size=5).map(lambda document: says(200, document)) | items.map(
    lambda document: says(200, {"finetune": document})
)
answers = near | bodies | refusals | odd_heads


@pytest.fixture(scope="module", autouse=True)
def flat_memory(say: Callable[[str], None]) -> Iterator[None]:
    yield
    say(watch.summary("hostile answers through the portal"))
    assert watch.grown <= 48


@pytest.fixture
def hostile(settings: Any) -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        point_at(settings, running)
        yield running


@pytest.fixture
def people(alice: User, dana: User) -> tuple[Client, Client]:
    """A maker and an admin at their browsers."""
    return signed_in(alice), signed_in(dana)


def times(examples: int) -> limits:
    of_no_matter = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    phases = (Phase.explicit, Phase.reuse, Phase.generate)  # to make it smaller would take minutes
    return limits(
        max_examples=examples,
        deadline=None,
        phases=phases,
        derandomize=False,  # where CI is set, each portion would be the same otherwise
        suppress_health_check=of_no_matter,
    )


script = st.fixed_dictionaries(dict.fromkeys([*CALLS.values(), "upload"], answers))


@limits(times(3), derandomize=True)
@given(script=script)
def test_no_answer_breaks_the_worker_or_a_page(
    hostile: ScriptedProvider, people: tuple[Client, Client], dataset: Dataset, script: dict[str, Answer]
) -> None:
    goes_on(hostile, people, dataset, script)


@pytest.mark.slow
def test_nor_do_two_thousand(
    hostile: ScriptedProvider, people: tuple[Client, Client], dataset: Dataset
) -> None:
    """In portions: hypothesis keeps all that it made, 57 MiB for 200 examples, until its run is over."""

    @times(20)
    @given(script=script)
    def a_portion(script: dict[str, Answer]) -> None:
        goes_on(hostile, people, dataset, script)

    while watch.looks < MANY:
        a_portion()


def goes_on(
    hostile: ScriptedProvider, people: tuple[Client, Client], dataset: Dataset, script: dict[str, Answer]
) -> None:
    """The worker takes all its steps and people look at every page, while each call is answered so."""
    alice = dataset.owner
    hostile.unscript()
    hostile.requests.clear()
    for call, answer in script.items():
        hostile.script(call, *[answer] * 4)
    with transaction.atomic():
        followed = make_job(alice, "ready", request_id=KNOWN, cloud_storage_url="https://h/w.safetensors")
        queued = make_job(alice, dataset=dataset)
        schedule_transfer(make_dataset(alice, stored=False), connections.default())
        Delivery.objects.create(request_id=KNOWN, size=1)
        make_job(alice, "training", request_id="trains", cancel_requested_at=now())
        Connection.objects.update(capabilities=CAN, capabilities_due_at=now() + timedelta(days=1))
        follow_now()
        sent = send_now(queued)
        for task in WORK:
            task.step()
        Connection.objects.update(capabilities_due_at=now())
        capabilities.refresh_next()
        assert sent.state in State.values
        assert sent.submit_attempts.count() <= 1, "never twice"
        look_at_all(*people, followed)
        assert set(Job.objects.values_list("state", flat=True)) <= set(State.values)
        transaction.set_rollback(True)
    for request in hostile.requests:
        watch.look(request.path.rsplit("/", 1)[-1])


def look_at_all(maker: Client, admin: Client, job: Job) -> None:
    """Every page that shows or asks something of the provider."""
    answers = [
        maker.post(f"/jobs/{job.pk}/public/", {"public": "on", "confirmed": "on"}),
        maker.get(f"/jobs/{job.pk}/download/"),
    ]
    for each in Job.objects.all()[:5]:
        answers.append(maker.get(f"/jobs/{each.pk}/"))
    for path in ("/", "/settings/", "/settings/webhooks/deliveries/", "/jobs/new/"):
        answers.append(admin.get(path))
    answers.append(admin.post(f"/settings/connections/{connections.default().pk}/test/"))
    assert [answer.status_code for answer in answers if answer.status_code not in (200, 302, 303)] == []
