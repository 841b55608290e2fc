"""GET /jobs/compare/ and its piece: trainings side by side."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.costs.models import Cost
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, JobEvent, Training
from tests.people import HTMX, make_dataset, make_job, make_samples, signed_in
from tests.provider import PICTURE
from tests.worker.driving import text_of

SWEEP = uuid.uuid4()


@pytest.fixture(autouse=True)
def the_connection(db: None) -> None:
    connections.built_in()


@pytest.fixture
def tries(alice: User) -> list[Job]:
    """Two of a sweep: one ready after a minute of training, one that failed."""
    dataset = make_dataset(alice)
    same = {"dataset": dataset, "sweep": SWEEP, "sent_at": now(), "ended_at": now()}
    ready = make_job(alice, State.READY, name="Try 0.0002", learning_rate=0.0002, **same)
    failed = make_job(
        alice, State.FAILED, name="Try 0.0001", learning_rate=0.0001, error="Download failed", **same
    )
    for job, states in ((ready, ("training", "deploying", "ready")), (failed, ("data", "failed"))):
        for number, state in enumerate(states):
            at = now() + timedelta(minutes=number)
            JobEvent.objects.create(job=job, state=state, created_at=at, source="poll", text=state)
    Job.objects.filter(pk=ready.pk).update(file_size=38_000_000)
    paid = {"currency": "credits", "bill": Decimal("1.5"), "bill_source": "balance", "state": "billed"}
    Cost.objects.create(
        kind="job", subject=ready.pk, job=ready.pk, connection=ready.connection, person=alice, **paid
    )
    return [ready, failed]


def rows(html: str) -> dict[str, list[str]]:
    """The words of each row, by what the row is called."""
    cells_by_name = {}
    for row in re.findall(r"<tr[^>]*><th scope=\"row\">(.*?)</tr>", html, re.DOTALL):
        name, *cells = re.split(r"</th>|<td[^>]*>", row)
        cells_by_name[name] = [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in cells if cell]
    return cells_by_name


def test_parameters_times_and_results_stand_side_by_side(
    alice: User, charlie: User, tries: list[Job]
) -> None:
    client = signed_in(charlie)
    answer = client.post("/jobs/bulk/", {"job": [job.pk for job in tries], "action": "compare"})
    html = text_of(client, answer.headers["Location"])
    cells = rows(html)
    assert cells["Learning rate"] == ["0.0001", "0.0002"], "in the order of the parameters"
    assert cells["Training"] == ["–", "1 min"]
    assert cells["Data"] == ["1 min", "–"]
    assert cells["State"] == ["Failed", "Ready"]
    assert "could not download the dataset" in cells["What went wrong"][0]
    assert cells["Cost"] == ["–", "about 1.50 credits"]
    assert "Next" not in cells, "a viewer trains nothing"
    assert re.findall(r"<tr data-differs><th scope=\"row\">([^<]+)", html) == ["Learning rate"]


def test_what_the_models_make_of_the_held_out_picture_is_shown(alice: User, tries: list[Job]) -> None:
    ready = tries[0]
    Training.objects.create(job=ready, samples=[0, 100, 200], held_out=[[0, 0.5], [200, 0.25]])
    make_samples(ready, "200")
    html = text_of(signed_in(alice), f"/jobs/compare/?sweep={SWEEP}")
    assert f'src="/jobs/{ready.pk}/samples/200/"' in html
    assert rows(html)["Loss of the held-out pair"] == ["–", "0.500 → 0.250"]
    assert signed_in(alice).get(f"/jobs/{ready.pk}/samples/200/").getvalue() == PICTURE


def test_it_asks_again_only_for_what_changed(alice: User, tries: list[Job]) -> None:
    client = signed_in(alice)
    html = text_of(client, f"/jobs/compare/?sweep={SWEEP}")
    match = re.search(r'data-jobs="([\d ]+)" hx-get="([^"]+)"', html)
    assert match
    assert set(match[1].split()) == {str(job.pk) for job in tries}
    address = match[2].replace("&amp;", "&")
    assert client.get(address, headers=HTMX).status_code == 204
    Job.objects.filter(pk=tries[0].pk).update(name="Renamed", updated_at=now())
    piece = client.get(address, headers=HTMX).content.decode()
    assert piece.startswith('\n<section id="compare"') or '<section id="compare"' in piece[:200]
    assert "Renamed" in piece
    assert client.get(address).headers["Location"] == "/jobs/compare/"


@pytest.mark.parametrize("query", ["", "?job=4711", "?job=x", "?sweep=nonsense"])
def test_nothing_to_compare_says_how(alice: User, query: str) -> None:
    assert "Nothing to compare" in text_of(signed_in(alice), f"/jobs/compare/{query}")


def test_more_of_them_take_no_more_queries(alice: User, tries: list[Job]) -> None:
    client = signed_in(alice)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            text_of(client, f"/jobs/compare/?sweep={SWEEP}")
        return len(captured)

    queries()
    few = queries()
    for number in range(10):
        dataset = make_dataset(alice, data=b"", stored=False)
        job = make_job(alice, State.READY, dataset=dataset, sweep=SWEEP, steps=number + 1)
        Training.objects.create(job=job, samples=[5])
    assert queries() == few
