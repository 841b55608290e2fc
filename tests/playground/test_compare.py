"""/try/: one picture by several jobs and by the base model."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from finetune_portal.playground.models import Generation
from tests.people import make_job, signed_in
from tests.playground.conftest import form, image, own, ready, run_task
from tests.provider import ScriptedProvider
from tests.worker.driving import text_of


@pytest.fixture
def jobs(alice: User, provider: ScriptedProvider, dataset: Dataset) -> list[Job]:
    return [ready(alice, dataset, name=name, slug=f"slug-{name.lower()}") for name in ("Blue", "Red")]


def query(*jobs: Job) -> str:
    return "&".join(f"job={job.pk}" for job in jobs)


def test_each_job_and_the_base_get_a_column(alice: User, jobs: list[Job], provider: ScriptedProvider) -> None:
    client = signed_in(alice)
    html = text_of(client, f"/try/?{query(*jobs)}")
    assert "This makes 3 pictures. Each run is charged" in html
    answer = client.post("/try/", form(job=[job.pk for job in jobs], strength="0.7"))
    assert answer.status_code == 302, answer.content.decode()
    while run_task():
        pass
    calls = [(request.path, request.json["lora_strength"], request.json["seed"]) for request in provider.runs]
    assert calls == [("/v1/slug-blue", 0.0, 7), ("/v1/slug-blue", 0.7, 7), ("/v1/slug-red", 0.7, 7)]
    html = text_of(client, answer.headers["Location"])
    assert [html.count(f"Result of {who}") for who in ("the base model", "Blue", "Red")] == [1, 1, 1]
    assert Generation.objects.filter(job=jobs[1]).get().batch is not None
    assert "Result of the model" in text_of(client, f"/jobs/{jobs[1].pk}/")


def test_another_base_model_of_an_engine_has_a_column_and_guidance(alice: User, jobs: list[Job]) -> None:
    """Of its own: the guidance may stay empty, and then the engine chooses."""
    Job.objects.filter(pk=jobs[1].pk).update(trainer="flux-2-klein-base-4b")
    client = signed_in(alice)
    answer = client.post("/try/", form(job=[job.pk for job in jobs], guidance=""))
    assert answer.status_code == 302, answer.content.decode()
    assert set(Generation.objects.values_list("steps", "guidance")) == {(28, None)}
    assert "Without a LoRA: FLUX.2 klein 4B base" in text_of(client, answer.headers["Location"])


def test_the_same_form_twice_runs_each_once(alice: User, jobs: list[Job]) -> None:
    client, data = signed_in(alice), form(job=[job.pk for job in jobs])
    first, second = (client.post("/try/", data).headers["Location"] for _ in range(2))
    assert first == second
    assert Generation.objects.count() == 3
    assert parse_qs(urlsplit(first).query)["job"] == [str(job.pk) for job in jobs]


def test_what_cannot_be_run_is_left_out(alice: User, jobs: list[Job]) -> None:
    training = make_job(alice, "training", name="Green", request_id="g")
    client = signed_in(alice)
    html = text_of(client, f"/try/?{query(*jobs, training)}")
    assert "Left out, because they cannot be run here: <bdi>Green</bdi>." in html
    assert "One picture, 2 models" in html
    client.post("/try/", form(job=[job.pk for job in (*jobs, training)]))
    assert not Generation.objects.filter(job=training).exists()
    assert Generation.objects.count() == 3


def test_what_cannot_be_tried_is_not_offered(alice: User, jobs: list[Job]) -> None:
    """Nor does the page ask for what was just done."""
    client = signed_in(alice)
    compared = f"/jobs/compare/?{query(*jobs)}"
    assert "Try them on one image" in text_of(client, compared)
    Job.objects.update(is_simulated=True)
    assert "Try them on one image" not in text_of(client, compared)
    assert "Try it" not in text_of(client, f"/jobs/{jobs[0].pk}/")
    html = text_of(client, f"/try/?{query(*jobs)}")
    assert "None of these models can be run here" in html
    assert "the local engine only simulated its training" in html
    assert "Select two or more" not in html


def test_nothing_runs_when_there_is_no_room_for_all(alice: User, jobs: list[Job]) -> None:
    client = signed_in(alice)
    for seed in range(2):
        client.post("/try/", form(job=[job.pk for job in jobs], seed=str(seed)))
    answer = client.post("/try/", form(job=[job.pk for job in jobs], seed="9"))
    assert answer.status_code == 422
    assert "You can have 8 runs waiting." in answer.content.decode()
    assert Generation.objects.count() == 6


def test_a_wrong_form_keeps_the_jobs(alice: User, jobs: list[Job]) -> None:
    answer = signed_in(alice).post("/try/", form(job=[job.pk for job in jobs], prompt=""))
    assert answer.status_code == 422
    html = answer.content.decode()
    assert "Say how to change the picture." in html
    assert all(f'name="job" value="{job.pk}"' in html for job in jobs)


def test_earlier_comparisons_are_found_again(alice: User, charlie: User, jobs: list[Job]) -> None:
    client = signed_in(alice)
    data = form(job=[job.pk for job in jobs], picture=None, file=own(image()), prompt="make it rain")
    run = parse_qs(urlsplit(client.post("/try/", data).headers["Location"]).query)["run"][0]
    html = text_of(signed_in(charlie), f"/try/?{query(jobs[1])}")
    assert f"run={run}" in html
    assert "make it rain" in html
    assert "playground-form" not in html
    shown = text_of(signed_in(charlie), f"/try/?{query(jobs[1])}&run={run}")
    assert "long-text" not in shown
    assert "make it rain" in shown


def test_a_long_prompt_is_clamped(alice: User, jobs: list[Job]) -> None:
    data = form(job=[job.pk for job in jobs], picture=None, file=own(image()), prompt="rain " * 100 + "end")
    html = text_of(signed_in(alice), signed_in(alice).post("/try/", data).headers["Location"])
    assert html.count('<details class="long-text">') == 1
    assert "rain end</p></details>" in html, "all of it is behind “Show all”"


def test_viewers_do_not_run_and_nothing_named_is_nothing(alice: User, charlie: User, jobs: list[Job]) -> None:
    assert signed_in(charlie).post("/try/", form(job=[jobs[0].pk])).status_code == 403
    for odd in ("", "?job=x", "?job=99999999999999999999", f"?{query(*jobs)}&run=x"):
        assert signed_in(alice).get(f"/try/{odd}").status_code == 200
    assert "No models to compare" in text_of(signed_in(alice), "/try/")
    assert signed_in(alice).post("/try/", form()).status_code == 422
    assert not Generation.objects.exists()


def test_the_way_there_from_the_comparison_of_a_sweep(alice: User, jobs: list[Job]) -> None:
    html = text_of(signed_in(alice), f"/jobs/compare/?{query(*jobs)}")
    assert f'href="/try/?{query(*jobs).replace("&", "&amp;")}"' in html
