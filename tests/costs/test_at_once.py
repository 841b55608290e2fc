"""Five people start jobs at a running portal at the same moment, and never exceed a budget."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
import requests
from pytest_django.plugin import DjangoDbBlocker

from finetune_portal.accounts.models import User
from finetune_portal.connections import capabilities
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.costs import budgets, totals
from finetune_portal.costs.models import Budget, Cost
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.providers.registry import PROVIDERS
from tests.cookies import session_cookie
from tests.fal.server import FakeFal
from tests.jobs.test_at_fal import followed_until, transferred
from tests.people import form_data, make_dataset, person, signed_in
from tests.web_server import WebServer, database_of, running_web, session_of
from tests.worker.driving import fresh, send_now, text_of

KONTEXT, FOUR = "fal-ai/flux-kontext-trainer", "500"  # with the price of the fixture, four dollars
NAMES = ("ann", "ben", "cem", "dee", "eve")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[WebServer, FakeFal]]:
    """A web process of two workers, with a fake fal."""
    with FakeFal() as fal:
        variables = PROVIDERS["fal"].variables
        addresses = {variables[name]: url for name, url in addresses_of(fal).items()}
        data = tmp_path_factory.mktemp("at-once") / "data"
        with running_web(data, WEB_WORKERS="2", FAL_KEY=fal.key, **addresses) as web:
            yield web, fal


def addresses_of(fal: FakeFal) -> dict[str, str]:
    return {"queue": fal.queue_url, "rest": fal.rest_url, "cdn": fal.cdn_url, "api": fal.api_url}


@pytest.fixture
def at_fal(
    served: tuple[WebServer, FakeFal], settings: Any, django_db_blocker: DjangoDbBlocker
) -> Iterator[Connection]:
    web, fal = served
    fal.clear()
    fal.prices = {KONTEXT: Decimal("0.008")}
    settings.PROVIDER_KEYS, settings.PROVIDER_ADMIN_KEYS = {"fal": fal.key}, {"fal": fal.admin_key}
    settings.PROVIDER_ADDRESSES = {"fal": addresses_of(fal)}
    with database_of(web, settings, django_db_blocker):
        connections.built_in()
        connection = Connection.objects.get(provider="fal")
        while capabilities.refresh_next():
            connection.refresh_from_db()
        Budget.objects.all().delete()
        yield connection


def start_at_once(web: WebServer, connection: Connection, people: list[User]) -> list[int]:
    """Each posts the form of a job of 4 USD at the same moment; the statuses of the answers."""
    together = threading.Barrier(len(people))
    browsers = []
    for each in people:
        browser = requests.Session()
        browser.cookies[session_cookie(web.url)] = session_of(each)
        page = browser.get(f"{web.url}/jobs/new/", timeout=60).text
        token = page.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        fields = {
            "connection": connection.pk,
            "trainer": KONTEXT,
            "steps": FOUR,
            "csrfmiddlewaretoken": token,
        }
        browsers.append((browser, {**form_data(make_dataset(each, stored=False)), **fields}))

    def post(browser: requests.Session, fields: dict[str, Any]) -> int:
        together.wait(timeout=60)
        answer = browser.post(f"{web.url}/jobs/new/", fields, timeout=120, allow_redirects=False)
        browser.close()
        return answer.status_code

    with ThreadPoolExecutor(len(people)) as pool:
        return sorted(pool.map(lambda each: post(*each), browsers))


@pytest.mark.parametrize("scope", ["connection", "everybody"])
def test_five_at_once_never_exceed_a_budget_that_asks(
    served: tuple[WebServer, FakeFal], at_fal: Connection, scope: str
) -> None:
    """The third waits for an approval; approved, it starts at once; the page has what fal charged."""
    web, fal = served
    dana = person("dana", User.Role.ADMIN)
    connection = at_fal if scope == "connection" else None
    limit = Budget.objects.create(connection=connection, currency="USD", amount=Decimal(10), action="ask")
    people = [person(name, User.Role.MAKER) for name in NAMES]
    assert start_at_once(web, at_fal, people) == [302] * 5
    assert budgets.spent(limit) == 8
    waiting = list(Job.objects.filter(state=State.APPROVAL).order_by("pk"))
    assert len(waiting) == 3

    assert signed_in(dana).post(f"/jobs/{waiting[0].pk}/approve/").status_code == 302
    assert fresh(waiting[0]).state == State.WAITING, "it starts: its dataset goes to the provider"
    assert budgets.spent(limit) == 12, "by decision"
    for job in Job.objects.filter(state=State.WAITING).order_by("pk"):
        transferred(job)
        sent = send_now(job)
        fal.finish(fal.jobs[-1])
        followed_until(sent, State.READY)
    assert len(fal.jobs) == 3
    (line,) = totals.totals(Cost.objects.all())
    assert line.total == line.billed == fal.charged == 12
    assert f"{fal.charged:.2f}" in text_of(signed_in(dana), "/costs/")


def test_five_at_once_never_exceed_one_that_stops(
    served: tuple[WebServer, FakeFal], at_fal: Connection
) -> None:
    limit = Budget.objects.create(connection=at_fal, currency="USD", amount=Decimal(10), action="stop")
    people = [person(name, User.Role.MAKER) for name in NAMES]
    assert start_at_once(served[0], at_fal, people) == [302, 302, 422, 422, 422]
    assert budgets.spent(limit) == 8
    assert Job.objects.count() == 2
