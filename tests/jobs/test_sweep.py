"""Several values in one job form: a sweep."""

from __future__ import annotations

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
    assert text_of(client, answer.url).count('<tr id="job-') == 6
    assert "Compare 6 jobs" in text_of(client, f"/jobs/compare/?sweep={data['form_key']}")


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
