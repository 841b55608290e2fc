"""Run a model from the page of its job: the form, the worker's step, the picture, the permissions."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from finetune_portal.playground.models import Generation, Input
from finetune_portal.worker.tasks import TASKS
from tests.people import HTMX, make_job, signed_in
from tests.playground.conftest import content, form, fresh, image, ordered, own, ready, run_task
from tests.provider import PICTURE, ScriptedProvider, says
from tests.worker.driving import text_of


def address(job: Job) -> str:
    return f"/jobs/{job.pk}/try/"


def test_one_click_makes_a_picture(alice: User, job: Job, provider: ScriptedProvider) -> None:
    """The form comes filled in: the first pair's input image, the job's prompt."""
    client = signed_in(alice)
    html = text_of(client, f"/jobs/{job.pk}/")
    assert 'value="pair-0"' in html
    assert "turn day into night" in html
    generation = ordered(client, job)
    assert content(client.get(f"/try/inputs/{generation.input_id}/large.webp")).startswith(b"RIFF")
    assert "Waits its turn" in text_of(client, f"/jobs/{job.pk}/")
    assert run_task()
    assert fresh(generation).state == "done"
    assert content(client.get(f"/try/runs/{generation.pk}/large.webp")).startswith(b"RIFF")
    got = client.get(f"/try/runs/{generation.pk}/result/")
    assert content(got) == PICTURE
    assert got.headers["Content-Disposition"] == 'attachment; filename="Day to night 7.png"'
    assert not run_task()


def test_it_sends_what_was_filled_in(
    alice: User, job: Job, provider: ScriptedProvider, dataset: Dataset
) -> None:
    ordered(signed_in(alice), job, strength="0.8", steps="20", guidance="3", prompt="make it rain")
    run_task()
    (sent,) = provider.runs
    payload = sent.json
    assert sent.path == f"/v1/{job.slug}"
    assert (payload["prompt"], payload["lora_strength"], payload["seed"]) == ("make it rain", 0.8, 7)
    assert (payload["num_inference_steps"], payload["guidance"]) == (20, 3)
    uploaded = provider.stored[payload["input_image"].removeprefix(provider.url)]
    with Image.open(io.BytesIO(uploaded)) as picture:
        assert picture.size == tuple(dataset.pairs[0]["start_size"])


def test_a_run_has_the_cost_that_the_provider_names(
    alice: User, job: Job, provider: ScriptedProvider
) -> None:
    provider.script("run", says(200, PICTURE, x_cost="0.04"), says(200, b"no picture", x_cost="0.04"))
    generation = ordered(signed_in(alice), job)
    run_task()
    assert fresh(generation).cost == 0.04
    page = " ".join(text_of(signed_in(alice), f"/jobs/{job.pk}/").split())
    assert "cost 0.04 credits" in page
    without_picture = ordered(signed_in(alice), job)
    run_task()
    assert (fresh(without_picture).state, fresh(without_picture).cost) == ("unconfirmed", 0.04)
    signed_in(alice).post(f"/try/runs/{without_picture.pk}/again/")
    provider.script("run", says(200, PICTURE, x_cost="0.03"))
    run_task()
    assert fresh(without_picture).cost == pytest.approx(0.07), "both were paid"


def test_a_run_without_a_named_cost_has_none(alice: User, job: Job) -> None:
    generation = ordered(signed_in(alice), job)
    run_task()
    assert fresh(generation).cost is None


def test_the_same_picture_is_hosted_once(alice: User, job: Job, provider: ScriptedProvider) -> None:
    client = signed_in(alice)
    for seed in ("1", "2"):
        ordered(client, job, seed=seed)
        assert run_task()
    assert len(provider.sent("host")) == 1
    assert len(provider.runs) == 2
    assert Input.objects.count() == 1


def test_the_same_form_twice_is_one_run(alice: User, job: Job) -> None:
    client, data = signed_in(alice), form()
    client.post(address(job), data)
    client.post(address(job), data)
    assert Generation.objects.count() == 1
    assert AuditEvent.objects.filter(action="model.run", actor=alice).count() == 1


def test_an_empty_seed_is_random_shown_and_random_again(alice: User, job: Job) -> None:
    """Only a seed that was typed, or that of a run that was chosen, stays in the form."""
    client = signed_in(alice)
    generation = ordered(client, job, seed="")
    html = text_of(client, f"/jobs/{job.pk}/")
    assert f"seed {generation.seed}" in html
    assert f'value="{generation.seed}"' not in html
    assert 'name="seed" value="5"' in client.post(address(job), form(seed="5"), headers=HTMX).content.decode()


def test_a_picture_of_ones_own(alice: User, job: Job) -> None:
    client = signed_in(alice)
    generation = ordered(client, job, picture=None, file=own(image(size=(30, 20))))
    assert generation.input.name == "street.png"
    assert f'value="input-{generation.input_id}"' in text_of(client, f"/jobs/{job.pk}/")
    again = ordered(client, job, picture=f"input-{generation.input_id}", seed="8")
    assert again.input == generation.input


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"picture": None}, "Choose a picture, or upload your own."),
        ({"picture": "pair-99"}, "Choose a picture, or upload your own."),
        ({"picture": "input-99"}, "Choose a picture, or upload your own."),
        ({"file": own(b"GIF89a")}, "This is not a readable picture."),
        ({"file": own(image()[:40])}, "This is not a readable picture."),
        ({"file": own(b"")}, "The submitted file is empty."),
        ({"file": own(b"\0" * 12_000_001)}, "The picture is larger than 12 MB."),
        ({"prompt": " "}, "Say how to change the picture."),
        ({"strength": "11"}, "less than or equal to 10"),
        ({"strength": "nan"}, "Enter a number"),
        ({"seed": "-1"}, "greater than or equal to 0"),
        ({"steps": "0"}, "greater than or equal to 1"),
        ({"guidance": "99"}, "less than or equal to 10"),
    ],
)
def test_an_error_stands_at_its_field(alice: User, job: Job, fields: dict[str, Any], says: str) -> None:
    client = signed_in(alice)
    answer = client.post(address(job), form(**fields), headers=HTMX)
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert answer.content.decode().lstrip().startswith('<section id="playground"')
    assert client.post(address(job), form(**fields | {"file": None})).status_code in (302, 422)
    assert Generation.objects.count() == (1 if "file" in fields else 0)


def test_a_field_with_an_error_keeps_its_help_text_linked(alice: User, job: Job) -> None:
    answer = signed_in(alice).post(address(job), form(guidance="99"), headers=HTMX)
    html = answer.content.decode()
    assert 'aria-describedby="id_guidance_helptext id_guidance_error"' in html
    assert 'aria-describedby="id_strength_helptext"' in html


def test_the_price_is_confirmed_once(alice: User, job: Job, settings: Any) -> None:
    client = signed_in(alice)
    html = text_of(client, f"/jobs/{job.pk}/")
    assert "Each run is charged to the account: about 0.03 to 0.05 USD" in html
    assert 'name="question" value="Each run is charged' in html
    after = client.post(address(job), form(), headers=HTMX).content.decode()
    assert 'name="question" value="Each run is charged' not in after
    settings.LOCAL_ENGINE = True
    own_engine = text_of(client, f"/jobs/{ready(alice).pk}/")
    assert "is charged" not in own_engine


def test_the_base_model_is_shown_for_comparison(alice: User, job: Job, provider: ScriptedProvider) -> None:
    client = signed_in(alice)
    generation = ordered(client, job, strength="0.8")
    run_task()
    html = client.post(f"/try/runs/{generation.pk}/without-lora/", headers=HTMX).content.decode()
    assert "Without the LoRA: Waits its turn" in html
    client.post(f"/try/runs/{generation.pk}/without-lora/")
    assert run_task()
    assert not run_task()
    first, second = (request.json for request in provider.runs)
    assert (first.pop("lora_strength"), second.pop("lora_strength")) == (0.8, 0.0)
    assert first == second
    html = text_of(client, f"/jobs/{job.pk}/")
    assert "How much of the picture without the LoRA is shown" in html
    assert html.count('<li>\n  <a href="/jobs/') == 0  # it is part of the first, not a run of its own


def test_an_earlier_run_gives_its_settings_again(alice: User, job: Job) -> None:
    client = signed_in(alice)
    first = ordered(client, job, prompt="make it rain", seed="11", strength="0.3")
    ordered(client, job, prompt="make it snow", seed="12")
    html = text_of(client, f"/jobs/{job.pk}/?generation={first.pk}")
    assert ">\nmake it rain</textarea>" in html
    assert 'value="11"' in html
    assert 'name="strength" value="0.3"' in html


def test_the_fragment_polls_until_the_generation_is_finished(alice: User, job: Job) -> None:
    client = signed_in(alice)
    generation = ordered(client, job)
    page = f"/try/runs/{generation.pk}/"
    assert client.get(page).headers["Location"] == f"/jobs/{job.pk}/?generation={generation.pk}#playground"
    seen = client.get(f"{page}?seen={generation.stamp}", headers=HTMX)
    assert seen.status_code == 204
    run_task()
    html = client.get(f"{page}?seen={generation.stamp}", headers=HTMX).content.decode()
    assert "The picture is ready." in html
    assert "hx-trigger" not in html
    column = client.get(f"{page}?as=column", headers=HTMX).content.decode()
    assert column.lstrip().startswith(f'<li id="run-{generation.pk}"')


def test_not_too_many_wait_at_once(alice: User, bob: User, job: Job) -> None:
    client = signed_in(alice)
    for number in range(8):
        ordered(client, job, seed=str(number))
    answer = client.post(address(job), form(), headers=HTMX)
    assert answer.status_code == 422
    assert "You can have 8 runs waiting." in answer.content.decode()
    ordered(signed_in(bob), job)
    assert Generation.objects.count() == 9


def test_a_deleted_run_is_gone_with_its_files(alice: User, job: Job) -> None:
    client = signed_in(alice)
    generation = ordered(client, job, file=own(image()))
    run_task()
    client.post(f"/try/runs/{generation.pk}/without-lora/")
    run_task()
    generation = fresh(generation)
    files = [generation.path, generation.baseline.path, generation.input.path]
    content(client.get(f"/try/runs/{generation.pk}/small.webp"))
    assert all(path.exists() for path in files)
    client.post(f"/try/runs/{generation.pk}/delete/")
    assert not any(path.exists() for path in files)
    assert not Generation.objects.exists()
    assert not Input.objects.exists()
    assert AuditEvent.objects.filter(action="model.forget-run").count() == 1


def test_a_run_that_is_deleted_while_it_is_made_leaves_nothing(
    alice: User, job: Job, provider: ScriptedProvider
) -> None:
    generation = ordered(signed_in(alice), job)
    Generation.objects.filter(pk=generation.pk).update(compare_to=None)
    signed_in(alice).post(f"/try/runs/{generation.pk}/delete/")
    assert not run_task()
    assert provider.runs == []


def test_viewers_see_and_do_not_run(alice: User, charlie: User, bob: User, job: Job) -> None:
    generation = ordered(signed_in(alice), job)
    run_task()
    viewer = signed_in(charlie)
    html = text_of(viewer, f"/jobs/{job.pk}/")
    assert "Result of the model" in html
    assert "playground-form" not in html
    assert viewer.post(address(job), form()).status_code == 403
    for action in ("without-lora", "again", "delete"):
        assert viewer.post(f"/try/runs/{generation.pk}/{action}/").status_code == 403
    for action in ("again", "delete"):
        assert signed_in(bob).post(f"/try/runs/{generation.pk}/{action}/").status_code == 403
    assert Generation.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"is_simulated": True}, "the local engine only simulated its training."),
        ({"slug": ""}, "The provider gave this model no address"),
    ],
)
def test_a_model_that_cannot_be_run_says_why(
    alice: User, provider: ScriptedProvider, fields: dict[str, Any], says: str
) -> None:
    job, client = ready(alice, **fields), signed_in(alice)
    html = text_of(client, address(job))
    assert says in html
    assert "playground-form" not in html
    assert "Try it" not in text_of(client, f"/jobs/{job.pk}/"), "what cannot be tried is not offered"
    answer = client.post(address(job), form(file=own(image())), headers=HTMX)
    assert answer.status_code == 422
    assert not Generation.objects.exists()


def test_an_engine_that_cannot_run_says_so(alice: User, job: Job) -> None:
    Connection.objects.filter(pk=job.connection_id).update(capabilities=["progress"])
    assert "The engine that trained this model cannot run models." in text_of(signed_in(alice), address(job))
    Connection.objects.filter(pk=job.connection_id).update(capabilities=["progress", "run"])
    html = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert "playground-form" in html
    assert "is charged" not in html


def test_a_job_that_is_not_ready_has_no_playground(alice: User, provider: ScriptedProvider) -> None:
    job = make_job(alice, "training", request_id="r-1")
    client = signed_in(alice)
    assert 'id="playground"' not in text_of(client, f"/jobs/{job.pk}/")
    assert client.post(address(job), form(file=own(image())), headers=HTMX).status_code == 422


def test_the_worker_has_tasks_for_it() -> None:
    assert {"generate", "generate-2"} <= {task.name for task in TASKS}
