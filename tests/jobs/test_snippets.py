"""The job page's snippets that use the model: diffusers, ComfyUI."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.page.snippets import snippets
from finetune_portal.registry.services import download_link
from tests.fal.calls import KLEIN
from tests.people import make_dataset, make_job, signed_in
from tests.running import RunningEngine
from tests.worker.driving import followed_until, fresh, point_at, send_now, text_of, transfer_now

ODD = 'make it "night", don\'t ask; $(rm -rf) é'
FILE = "https://models.example/1/Day-to-night-abc.safetensors?X-Amz-Expires=3600"


def ready(owner: User, **fields: Any) -> Job:
    return make_job(owner, State.READY, request_id="1", cloud_storage_url=FILE, **fields)


def test_a_snippet_is_valid_for_any_prompt(alice: User) -> None:
    texts = {snippet.name: snippet.text for snippet in snippets(ready(alice, instance_prompt=ODD))}
    constants = [
        each.value for each in ast.walk(ast.parse(texts["diffusers"])) if isinstance(each, ast.Constant)
    ]
    assert ODD in constants
    assert "Day-to-night-abc.safetensors" in constants
    assert "Put Day-to-night-abc.safetensors into" in texts["ComfyUI"]


def test_snippets_are_shown_only_for_an_existing_model(alice: User) -> None:
    failed = make_job(alice, State.FAILED, slug="s", request_id="2")
    client = signed_in(alice)
    assert "load_lora_weights" in text_of(client, f"/jobs/{ready(alice).pk}/")
    assert "load_lora_weights" not in text_of(client, f"/jobs/{failed.pk}/")


@pytest.mark.parametrize(
    "fields", [{"is_simulated": True}, {"provider_data": {"model_information": {"tiny_model": True}}}]
)
def test_a_model_that_fits_no_pipeline_has_no_snippet(alice: User, fields: dict[str, Any]) -> None:
    assert "Use the model" not in text_of(signed_in(alice), f"/jobs/{ready(alice, **fields).pk}/")


BY_TRAINER = [
    ("fal-ai/flux-kontext-trainer", {}, "FluxKontextPipeline"),
    (KLEIN, {"output_lora_format": "fal"}, 'from_pretrained("black-forest-labs/FLUX.2-klein-base-4B"'),
    ("fal-ai/qwen-image-edit-2511-trainer", {}, 'from_pretrained("Qwen/Qwen-Image-Edit-2511"'),
    (KLEIN, {"output_lora_format": "comfy"}, "Open the FLUX.2 klein 4B base template"),
]


@pytest.mark.parametrize(("trainer", "parameters", "line"), BY_TRAINER)
def test_a_model_of_another_provider_has_the_snippet_of_its_base_model(
    alice: User, at_fal: Connection, trainer: str, parameters: dict[str, str], line: str
) -> None:
    (snippet,) = snippets(ready(alice, connection=at_fal, trainer=trainer, parameters=parameters))
    assert line in snippet.text
    assert "Day-to-night-abc.safetensors" in snippet.text
    if snippet.name == "diffusers":
        ast.parse(snippet.text)


@pytest.mark.parametrize(
    "trainer", ["blackforestlabs/flux-3/klein/base/trainer/edit", "fal-ai/qwen-image-edit-plus-trainer"]
)
def test_a_base_model_that_the_snippets_do_not_know_has_none(
    alice: User, at_fal: Connection, trainer: str
) -> None:
    assert snippets(ready(alice, connection=at_fal, trainer=trainer)) == []


def test_a_provider_whose_files_nobody_describes_has_none(alice: User, at_replicate: Connection) -> None:
    trainer = "replicate/fast-flux-kontext-trainer"
    assert snippets(ready(alice, connection=at_replicate, trainer=trainer)) == []


def test_no_snippet_needs_a_key_or_an_address_that_only_the_server_has(alice: User) -> None:
    html = text_of(signed_in(alice), f"/jobs/{ready(alice, slug='s').pk}/")
    assert "API_KEY" not in html
    assert html.count("x-api-key") == html.count("x-api-key: $TOKEN"), (
        "a personal token is sent, and nothing else"
    )
    assert "127.0.0.1" not in html


def test_after_a_rename_the_snippet_still_names_the_file_of_the_download(
    alice: User, engine: RunningEngine, settings: Any
) -> None:
    point_at(settings, engine)
    dataset = make_dataset(alice, stored=False)
    transfer_now(dataset)
    job = followed_until(send_now(make_job(alice, dataset=dataset, name="Hüte für Anna 👒")))
    signed_in(alice).post(f"/jobs/{job.pk}/describe/", {"name": "Something else"})
    job = fresh(job)
    assert job.name == "Something else"
    link = download_link(job, actor=alice)
    header = Client().get(link).headers["Content-Disposition"]
    assert re.findall('filename="([^"]+)"', header) == [job.model_file_name]
    job.is_simulated = False
    assert all(job.model_file_name in snippet.text for snippet in snippets(job))
