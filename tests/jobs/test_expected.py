"""Presets and the cards of what to train say what a job takes, by the team's finished jobs like it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.costs.models import Cost
from finetune_portal.jobs.models import Job, Preset
from finetune_portal.projects import services as projects
from tests.fal.calls import KLEIN
from tests.jobs.test_expected_time import trained, trained_three
from tests.people import signed_in

URL = "/jobs/new/"


@pytest.fixture(autouse=True)
def engine(db: None) -> Connection:
    return connections.built_in()


@pytest.fixture
def vendor(engine: Connection, dana: User) -> Connection:
    return connections.add(name="Vendor", base_url="https://api.segmind.com", key="sk-a", actor=dana)


def billed(owner: User, *amounts: str, currency: str = "credits", **fields: Any) -> list[Job]:
    """A finished job for each amount, of four minutes."""
    jobs = [trained(owner, 240, **fields) for _ in amounts]
    for job, amount in zip(jobs, amounts, strict=True):
        bill(job, amount, currency)
    return jobs


def bill(job: Job, amount: str, currency: str = "credits", number: int = 1) -> None:
    fields = {"kind": "job", "subject": job.pk, "job": job.pk, "connection": job.connection, "number": number}
    values = {"currency": currency, "bill": Decimal(amount), "bill_source": "balance", "state": "billed"}
    assert job.owner
    Cost.objects.create(person=job.owner, **fields, **values)


def expected(user: User, url: str = URL, **query: Any) -> dict[str, str]:
    """What is said of each preset and card, by the id of its place on the page."""
    html = signed_in(user).get(url, query).content.decode()
    places = re.findall(r'<span id="([^"]+)" class="expected[^>]*>(.*?)</span>', html, re.DOTALL)
    return {key: " ".join(text.split()) for key, text in places if text.strip()}


def at(connection: Connection, trainer: str = "") -> dict[str, str]:
    return {"offer": f"{connection.pk} {trainer}".strip()}


def test_nothing_is_said_of_less_than_three_jobs(alice: User, vendor: Connection) -> None:
    billed(alice, "0.74", "0.75", connection=vendor)
    assert expected(alice, f"{URL}parameters/", steps=300, **at(vendor)) == {}
    billed(alice, "0.76", connection=vendor)
    preset, card = "preset-quick", f"offer-{vendor.pk}"
    assert expected(alice, f"{URL}parameters/", steps=300, **at(vendor)) == {
        preset: "About 4 min, about 0.75 credits",
        card: "About 4 min, about 0.75 credits",
    }
    assert expected(alice, steps=300) == {card: "About 4 min, about 0.75 credits"}, "the engine has no jobs"


def test_a_price_is_that_of_about_as_many_steps(alice: User, vendor: Connection) -> None:
    """A time grows with the steps; of a price nobody says so."""
    billed(alice, "0.80", "0.80", "0.80", connection=vendor, steps=310)
    query = {"steps": "300; 400", **at(vendor)}
    shown = expected(alice, f"{URL}price/", **query)
    assert shown["preset-quick"] == "About 4 min, about 0.80 credits"
    assert shown[f"offer-{vendor.pk}"] == "About 4 min to 5 min"


def test_a_price_that_may_be_wrong_is_not_shown(alice: User, vendor: Connection) -> None:
    first, *_ = billed(alice, "0.75", "0.75", "0.75", connection=vendor)
    said = {"preset-quick": "About 4 min", f"offer-{vendor.pk}": "About 4 min"}
    bill(first, "0.75", number=2)
    assert expected(alice, f"{URL}price/", steps=300, **at(vendor)) == said, "it was sent twice"
    trained(alice, 240, connection=vendor)
    assert expected(alice, f"{URL}price/", steps=300, **at(vendor)) == said, "one trained beside another"
    billed(alice, "2.50", "2.50", connection=vendor)
    assert expected(alice, f"{URL}price/", steps=300, **at(vendor)) == said, "they differ"


def test_jobs_of_the_engine_are_free(alice: User, engine: Connection) -> None:
    trained_three(alice)
    Preset.objects.create(owner=alice, name="Hats", learning_rate=1e-4, steps=500, parameters={"rank": 8})
    Preset.objects.create(owner=alice, name="B", learning_rate=1e-4, steps=500, parameters={"batch_size": 4})
    hats, batches = Preset.objects.order_by("pk")
    assert expected(alice) == {"preset-quick": "About 4 min", f"preset-{hats.pk}": "About 6 min 30 s"}
    assert f"preset-{batches.pk}" not in expected(alice), "a step of it takes longer"


def test_jobs_of_a_private_project_say_nothing_outside(
    alice: User, bob: User, dana: User, vendor: Connection
) -> None:
    project = projects.add("Winter", actor=dana)
    projects.add_member(project, alice, actor=dana)
    projects.set_private(project, private=True, actor=dana)
    billed(alice, "0.75", "0.75", "0.75", connection=vendor, project=project)
    assert f"offer-{vendor.pk}" in expected(alice)
    assert expected(bob) == {}


def test_the_summary_has_the_price_where_no_provider_names_one(alice: User, vendor: Connection) -> None:
    billed(alice, "0.75", "0.75", "0.75", connection=vendor)
    html = signed_in(alice).get(f"{URL}price/", {"steps": 300, "learning_rate": 0.0004, **at(vendor)})
    plan = html.content.decode().partition('class="figures"')[2].partition("</div>")[0]
    assert "1 model · about 4 min · about 0.75 credits" in " ".join(plan.split())


def test_more_jobs_presets_and_trainers_make_no_more_queries(
    alice: User, dana: User, vendor: Connection
) -> None:
    client = signed_in(alice)

    def queries() -> int:
        with CaptureQueriesContext(database) as captured:
            assert client.get(URL, {"dataset": "", **at(vendor)}).status_code == 200
        return len(captured)

    fal = connections.add(name="Agency", provider="fal", key="a-key", actor=dana)
    for number in range(2):
        billed(alice, "0.75", "0.75", "0.75", connection=vendor)
        billed(alice, "3", "3", "3", currency="USD", connection=fal, trainer=KLEIN)
        Preset.objects.create(owner=alice, name=str(number), learning_rate=1e-4, steps=500, parameters={})
        if number == 0:
            queries()
            before = queries()
    connections.add(name="Second", provider="fal", key="b-key", actor=dana)
    assert queries() <= before + 1, "the new connection has banners of its own"
