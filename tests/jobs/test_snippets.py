"""The job page's snippets that use the model: curl, Python, diffusers, ComfyUI."""

from __future__ import annotations

import ast
import json
import shlex

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.page.snippets import snippets
from tests.people import make_job, signed_in
from tests.worker.driving import text_of

ODD = 'make it "night", don\'t ask; $(rm -rf) é'


def test_snippets_are_valid_for_any_prompt(alice: User) -> None:
    job = make_job(alice, State.READY, slug="abc-night", request_id="1", instance_prompt=ODD)
    lines = {snippet.name: snippet.text for snippet in snippets(job, "https://api.example")}
    words = shlex.split(lines["curl"].replace("\\\n", " "))
    assert words[1] == "https://api.example/v1/abc-night"
    assert json.loads(words[words.index("--json") + 1])["prompt"] == ODD
    for name in ("Python", "diffusers"):
        ast.parse(lines[name])
        assert any(
            isinstance(node, ast.Constant) and node.value == ODD for node in ast.walk(ast.parse(lines[name]))
        )


def test_snippets_are_shown_only_for_an_existing_model(alice: User) -> None:
    ready = make_job(alice, State.READY, slug="s", request_id="1", cloud_storage_url="x")
    failed = make_job(alice, State.FAILED, slug="s", request_id="2")
    client = signed_in(alice)
    assert "load_lora_weights" in text_of(client, f"/jobs/{ready.pk}/")
    assert "load_lora_weights" not in text_of(client, f"/jobs/{failed.pk}/")
