"""The job page's snippets that run its model by the API: curl and the SDK, with the portal's address."""

from __future__ import annotations

import ast
import json
import shlex

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.gateway.snippets import run_snippets
from finetune_portal.jobs.models import Job
from tests.fal.account import trained
from tests.fal.server import FakeFal
from tests.jobs.test_snippets import ODD
from tests.people import signed_in
from tests.playground.conftest import job, provider
from tests.worker.driving import text_of

__all__ = ["job", "provider"]

BASE = "https://portal.example.com/team"


def test_they_are_valid_for_any_prompt(job: Job) -> None:
    job.instance_prompt = ODD
    curl, sdk = (snippet.text for snippet in run_snippets(job, BASE))
    words = shlex.split(curl.partition("curl ")[2].replace("\\\n", " "))
    assert words[0] == f"{BASE}/v1/{job.slug}"
    assert json.loads(words[words.index("--data") + 1])["prompt"] == ODD
    constants = {each.value for each in ast.walk(ast.parse(sdk)) if isinstance(each, ast.Constant)}
    assert {ODD, job.slug, BASE, f"{BASE}/v1"} <= constants


def test_the_page_shows_them_for_a_model_that_runs(alice: User, charlie: User, job: Job) -> None:
    for user in (alice, charlie):
        page = text_of(signed_in(user), f"/jobs/{job.pk}/")
        assert "Run it through the API" in page
        assert f"http://testserver/v1/{job.slug}" in page
        assert "Each run is charged to the account" in page


@pytest.mark.parametrize("fields", [{"is_simulated": True}, {"state": "training"}, {"slug": ""}])
def test_a_model_that_does_not_run_has_none(alice: User, job: Job, fields: dict[str, object]) -> None:
    Job.objects.filter(pk=job.pk).update(**fields)
    assert "Run it through the API" not in text_of(signed_in(alice), f"/jobs/{job.pk}/")


def test_a_model_at_fal_has_the_slug_of_the_portal(
    alice: User, at_fal: Connection, fal: FakeFal, dataset: Dataset
) -> None:
    model = trained(alice, at_fal, fal, dataset=dataset)
    page = text_of(signed_in(alice), f"/jobs/{model.pk}/")
    assert f"/v1/day-to-night-{model.nonce}" in page
    assert "The account at “fal” pays for each run." in page
