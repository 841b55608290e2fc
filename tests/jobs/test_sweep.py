"""Several values in one job form: a sweep."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from tests.people import form_data, signed_in
from tests.worker.driving import text_of


def test_a_sweep_asks_first_and_starts_each_once(alice: User, dataset: Dataset) -> None:
    client = signed_in(alice)
    data = form_data(dataset, learning_rate="0.0001, 0.0004", steps="300, 500; 1000")
    asked = client.post("/jobs/new/", data)
    assert "This starts 6 jobs" in asked.content.decode()
    assert not Job.objects.exists()
    for _ in range(2):
        answer = client.post("/jobs/new/", {**data, "confirmed": "6"})
    jobs = Job.objects.all()
    assert {(job.learning_rate, job.steps) for job in jobs} == {
        (rate, steps) for rate in (0.0001, 0.0004) for steps in (300, 500, 1000)
    }
    assert len(jobs) == 6
    assert {str(job.sweep) for job in jobs} == {data["form_key"]}
    assert text_of(client, answer.headers["Location"]).count('<tr id="job-') == 6
    assert "Compare 6 jobs" in text_of(client, f"/jobs/compare/?sweep={data['form_key']}")


def test_any_number_may_have_several_values(alice: User, dataset: Dataset) -> None:
    client = signed_in(alice)
    several = {"parameter-rank": "16; 32", "parameter-guidance": "1; 2,5", "parameter-hold_out": "false"}
    data = form_data(dataset, steps="300; 500", **several)
    asked = client.post("/jobs/new/", data).content.decode()
    assert "This starts 8 jobs" in asked
    assert "<li>500 steps at 0.0004, rank 16, guidance 2.5</li>" in asked, (
        "what is the same in all is not named"
    )
    for _ in range(2):
        answer = client.post("/jobs/new/", {**data, "confirmed": "8"})
    trained = [(job.steps, job.parameters) for job in Job.objects.order_by("pk")]
    assert trained == [
        (steps, {"rank": rank, "guidance": guidance, "hold_out": False})
        for steps in (300, 500)
        for rank in (16, 32)
        for guidance in (1.0, 2.5)
    ]
    rows = text_of(client, answer.headers["Location"])
    assert len(set(re.findall(r">(\d+ steps · rank \d+ · guidance [^<]+)</span></a>", rows))) == 8
    assert "0.0004 · hold out no · " in rows, "what is the same in all stands in the line below"
    compared = text_of(client, f"/jobs/compare/?sweep={data['form_key']}")
    assert re.search(r'data-differs><th scope="row">Rank</th><td class="number">16</td>', compared)
    assert re.search(r'<tr ><th scope="row">Hold out</th><td class="number">no</td>', compared)


def test_the_jobs_together_have_a_limit(alice: User, dataset: Dataset) -> None:
    values = {"steps": "1; 2; 3; 4; 5; 6", "parameter-rank": "1; 2; 3; 4; 5; 6"}
    client = signed_in(alice)
    assert "This starts 36 jobs" in client.post("/jobs/new/", form_data(dataset, **values)).content.decode()
    values |= {f"parameter-{name}": "1; 2; 3; 4; 5; 6" for name in ("alpha", "seed", "sample_steps")}
    refused = client.post("/jobs/new/", form_data(dataset, **values))
    assert refused.status_code == 422
    sentence = "These values make 7,776 jobs. A sweep has at most 36: enter fewer values."
    assert f'id="id_parameter-sample_steps_error">{sentence}<' in refused.content.decode()


@pytest.mark.parametrize("further", [{}, {"parameters": "rank=32"}, {"parameter-rank": "32"}])
def test_a_form_of_the_release_before_makes_the_same_jobs(
    alice: User, dataset: Dataset, further: dict[str, Any]
) -> None:
    """Its keys came from learning rate and steps alone, whatever the further parameters were."""
    data = form_data(dataset, learning_rate="0.0001; 1e-05", steps="300; 500", confirmed="4", **further)
    signed_in(alice).post("/jobs/new/", data)
    texts = ("0.0001 300", "0.0001 500", "1e-05 300", "1e-05 500")
    before = {uuid.uuid5(uuid.UUID(data["form_key"]), text) for text in texts}
    assert set(Job.objects.values_list("form_key", flat=True)) == before


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("learning_rate", "0.0001, x", "Enter the learning rate as a number"),
        ("learning_rate", "0.0001, 5", "Too large"),
        ("learning_rate", "nan", "Enter the learning rate as a number"),
        ("steps", "300, 0", "Enter at least 1 step"),
        ("steps", "1; 2; 3; 4; 5; 6; 7", "Enter at most 6 values"),
    ],
)
def test_one_wrong_value_of_a_sweep_is_named(
    alice: User, dataset: Dataset, field: str, value: str, sentence: str
) -> None:
    answer = signed_in(alice).post("/jobs/new/", form_data(dataset, **{field: value}))
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not Job.objects.exists()
