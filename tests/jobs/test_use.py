"""What the job page tells beside states: how to use the model, and when it will be ready."""

from __future__ import annotations

import ast
import json
import shlex
from datetime import timedelta

from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.page.estimate import estimate
from finetune_portal.jobs.page.snippets import snippets
from tests.people import make_job, signed_in
from tests.worker.driving import text_of

ODD = 'make it "night", don\'t ask; $(rm -rf) é'


def test_the_lines_survive_any_prompt(alice: User) -> None:
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


def test_only_a_model_that_exists_is_explained(alice: User) -> None:
    ready = make_job(alice, State.READY, slug="s", request_id="1", cloud_storage_url="x")
    failed = make_job(alice, State.FAILED, slug="s", request_id="2")
    client = signed_in(alice)
    assert "load_lora_weights" in text_of(client, f"/jobs/{ready.pk}/")
    assert "load_lora_weights" not in text_of(client, f"/jobs/{failed.pk}/")


def test_the_end_is_judged_by_trainings_of_like_size(alice: User) -> None:
    started = now()
    running = make_job(alice, State.TRAINING, steps=1000, sent_at=started)
    for minutes in (10, 20):
        ended = started - timedelta(hours=1)
        make_job(alice, State.READY, steps=800, sent_at=ended - timedelta(minutes=minutes), ended_at=ended)
    make_job(alice, State.READY, steps=100, sent_at=started - timedelta(minutes=1), ended_at=started)
    assert estimate(running) is None, "two are no ground"
    make_job(alice, State.READY, steps=1500, sent_at=started - timedelta(minutes=30), ended_at=started)
    found = estimate(running)
    assert found
    assert (found.ready, found.by) == (started + timedelta(minutes=20), 3)
    assert "judging by 3 trainings" in text_of(signed_in(alice), f"/jobs/{running.pk}/")
