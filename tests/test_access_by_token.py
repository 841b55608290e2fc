"""Who may call what with a personal token: every call of the API, and no page.

The table is complete by that of test_access.py, whose words it has. Each token was given every right.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.gateway.services import new_token
from tests.people import make_generation, make_job
from tests.test_access import address, outcome, outcome_for, table
from tests.test_access import route_values as route_values

# By the token of a viewer, alice, bob, an admin; the job is alice's.
BY_TOKEN = """
    gateway:submit          POST    no ok ok ok
    gateway:details         GET     ok ok ok ok
    gateway:list            GET     ok ok ok ok
    gateway:presigned-url   GET     no ok ok ok
    gateway:access-update   PUT     no ok no ok
    gateway:download        GET     no ok ok ok
    gateway:balance         GET     ok ok ok ok
    gateway:trainers        GET     ok ok ok ok
    gateway:run             POST    no ok ok ok
    gateway:run-submit      POST    no ok ok ok
    gateway:run-status      GET     ok ok ok ok
    gateway:run-result      GET     ok ok ok ok
    gateway:upload-asset    POST    no ok ok ok
"""


@pytest.mark.parametrize("who", ["charlie", "alice", "bob", "dana"])
def test_a_token_opens_no_page(
    who: str, route_values: dict[str, str], request: pytest.FixtureRequest
) -> None:
    """Only the calls of the API take one, whosever it is and whatever it may do."""
    rights = ["train", "publish", "download", "run"]
    text = new_token(owner=request.getfixturevalue(who), name="t", rights=rights, days=1)[1]
    client = Client(headers={"x-api-key": text, "Authorization": f"Bearer {text}"})
    for line in table():
        if line.outcomes[0] in ("in", "404"):
            assert outcome_for(client, line, route_values) == line.outcomes[0], line


def test_the_token_of_each_opens_what_the_table_says(
    alice: User, bob: User, charlie: User, dana: User, settings: Any
) -> None:
    settings.SEGMIND_BASE_URL = "http://127.0.0.1:9"  # nobody is there
    job = make_job(
        alice, "ready", request_id="r-1", cloud_storage_url="https://storage.example/m", slug="0f-a"
    )
    values = {"slug": job.slug, "key": str(make_generation(job).key)}
    fields = {"request_id": str(job.form_key), "cloud_storage_url": job.cloud_storage_url}
    body = {**fields, "name": "a", "segmind_public": "False"}
    calls = {line.name for line in table() if line.outcomes[0] == "key"} - {"datasets:upload"}
    assert calls == {line.name for line in table(BY_TOKEN)}
    for number, owner in enumerate((charlie, alice, bob, dana)):
        text = new_token(owner=owner, name="t", rights=["train", "publish", "download", "run"], days=1)[1]
        client = Client(headers={"x-api-key": text})
        for line in table(BY_TOKEN):
            response = client.generic(line.method, address(line.name, values), json.dumps(body))
            assert outcome(response) == line.outcomes[number], (line, owner)
