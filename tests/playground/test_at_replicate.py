"""Run a model that was trained at Replicate, beside one that takes other numbers."""

from __future__ import annotations

from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from finetune_portal.providers.http import paid_run
from tests.people import HTMX, make_job, signed_in
from tests.playground.conftest import form, fresh, ordered, run_task
from tests.provider.results import WEIGHTS
from tests.replicate.calls import KONTEXT, PRUNA
from tests.replicate.server import FakeReplicate
from tests.worker.driving import text_of

NUMBERS = {"steps": "20", "guidance": "3"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paid_run, "FIRST_PAUSE", 0.01)


@pytest.fixture
def models(alice: User, at_replicate: Connection, replicate: FakeReplicate, dataset: Dataset) -> list[Job]:
    """One whose model takes a strength alone, and one whose model also takes steps and guidance."""
    replicate.delivered["/delivery/a/lora.safetensors"] = WEIGHTS
    fields: dict[str, Any] = {
        "connection": at_replicate,
        "dataset": dataset,
        "cloud_storage_url": f"{replicate.url}/delivery/a/lora.safetensors",
    }
    return [make_job(alice, "ready", trainer=each, request_id=each, **fields) for each in (PRUNA, KONTEXT)]


def test_what_the_model_does_not_take_is_neither_offered_nor_sent(
    alice: User, models: list[Job], replicate: FakeReplicate
) -> None:
    client = signed_in(alice)
    html = text_of(client, f"/jobs/{models[0].pk}/")
    assert 'name="strength"' in html
    assert "From -1 to 3." in html
    assert 'name="steps"' not in html[html.index('id="playground"') :]
    generation = ordered(client, models[0], strength="-0.5", **NUMBERS)
    assert run_task()
    assert fresh(generation).state == "done", fresh(generation).error
    (post,) = replicate.sent("submit")
    assert post.json["input"].keys() == {"prompt", "images", "lora_weights", "lora_scale", "seed"}
    shown = client.get(f"/try/runs/{generation.pk}/", headers=HTMX).content.decode()
    assert "Strength -0.5 · seed 7 · took" in " ".join(shown.split())


def test_beside_a_model_that_takes_them_each_gets_its_own(
    alice: User, models: list[Job], replicate: FakeReplicate
) -> None:
    answer = signed_in(alice).post("/try/", form(job=[job.pk for job in models], **NUMBERS))
    assert answer.status_code == 302, answer.content.decode()
    while run_task():
        pass
    inputs = [post.json["input"] for post in replicate.sent("submit")]
    assert [sent.get("num_inference_steps") for sent in inputs] == [None, 20, None, 20]
    assert [job.status for job in replicate.jobs] == ["succeeded"] * 4
