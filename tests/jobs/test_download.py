"""GET /jobs/<pk>/download/"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.apps import apps
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.jobs.models import Job
from tests.engine.calling import reached, started
from tests.people import make_job, signed_in
from tests.provider import ScriptedProvider, says
from tests.running import RunningEngine
from tests.worker.driving import content_of, point_at, point_nowhere, text_of


@pytest.fixture(scope="module")
def trained(engine: RunningEngine) -> dict[str, Any]:
    return reached(engine, started(engine, "download"), "AVAILABLE")


@pytest.fixture
def job(alice: User, engine: RunningEngine, trained: dict[str, Any], settings: Any) -> Job:
    point_at(settings, engine)
    return make_job(alice, "ready", request_id=trained["id"], cloud_storage_url=trained["cloud_storage_url"])


def url(job: Job) -> str:
    return f"/jobs/{job.pk}/download/"


@pytest.mark.parametrize("name", ["alice", "bob", "charlie", "dana"])
def test_everyone_on_the_team_gets_the_file(name: str, job: Job, request: pytest.FixtureRequest) -> None:
    person = request.getfixturevalue(name)
    response = signed_in(person).get(url(job))
    assert response.status_code == 303
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Location"].startswith(f"/jobs/{job.pk}/file/?signature=")
    file = Client().get(response.headers["Location"])
    assert file.status_code == 200
    assert b'"simulated":"true"' in content_of(file)[:1000]
    event = AuditEvent.objects.get()
    assert (event.actor, event.action, event.thing) == (person, "job.download", f"job {job.pk}")


def test_the_signed_link_is_kept_nowhere(alice: User, job: Job, caplog: pytest.LogCaptureFixture) -> None:
    """Minted for this click, and in no row, page or log (docs/reliability.md, R11, K2)."""
    client = signed_in(alice)
    link = client.get(url(job)).headers["Location"]
    signature = parse_qs(urlsplit(link).query)["signature"][0]
    rows = str([list(model._default_manager.values()) for model in apps.get_models()])
    assert job.name in rows
    for place in (rows, caplog.text, text_of(client), text_of(client, f"/jobs/{job.pk}/")):
        assert signature not in place
        assert "ignature=" not in place


def test_an_unknown_job_is_not_there(alice: User) -> None:
    assert signed_in(alice).get("/jobs/4711/download/").status_code == 404


def test_a_dead_provider_is_told_and_leaves_no_trace(alice: User, job: Job, settings: Any) -> None:
    point_nowhere(settings)
    response = signed_in(alice).get(url(job), follow=True)
    assert response.redirect_chain == [(f"/jobs/{job.pk}/", 302)]
    assert "No download link. The provider cannot be reached." in response.content.decode()
    assert not AuditEvent.objects.exists()


def test_a_model_that_is_gone_at_the_provider_is_told_in_its_words(alice: User, job: Job) -> None:
    Job.objects.update(cloud_storage_url="https://elsewhere.example/model.safetensors")
    html = text_of(signed_in(alice), url(job))
    assert "No download link. The provider rejected the request (status 404)." in html
    assert "not the address of a fine-tuned model" in html


def test_a_file_that_was_deleted_at_the_provider_is_said_and_marked(alice: User, settings: Any) -> None:
    """A16"""
    gone = says(
        404, b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
    )
    with ScriptedProvider() as fake:
        point_at(settings, fake)
        paid = fake.adds("hats")
        paid.status = "AVAILABLE"
        job = make_job(alice, "ready", request_id=paid.id, cloud_storage_url=paid.cloud_storage_url)
        client = signed_in(alice)
        fake.script("fetch", gone)
        html = text_of(client, url(job))
        assert "The provider no longer has the file of this model" in html
        assert "<Error>" not in html
        assert "found it deleted there on" in html
        assert not AuditEvent.objects.exists()
        assert "Deleted at the provider" in text_of(client)
        assert client.get(url(job)).status_code == 303, "it is back"
    assert Job.objects.get().file_gone_at is None


def test_another_refusal_of_the_storage_is_said_in_its_words(alice: User, settings: Any) -> None:
    denied = says(403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>")
    with ScriptedProvider() as fake:
        point_at(settings, fake)
        paid = fake.adds("hats")
        paid.status = "AVAILABLE"
        job = make_job(alice, "ready", request_id=paid.id, cloud_storage_url=paid.cloud_storage_url)
        fake.script("fetch", denied)
        assert "Request has expired (AccessDenied)." in text_of(signed_in(alice), url(job))
    assert Job.objects.get().file_gone_at is None


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("https://169.254.169.254/model", "an address inside a private network"),
        ("https://2852039166/model", "an address inside a private network"),
        ("https://user:pw@storage.example/model", "an address with a name in it"),
        ("https://storage.example\\@10.0.0.1/model", "an address with a name in it"),
    ],
)
def test_a_link_into_a_private_network_is_not_passed_on(
    link: str, words: str, alice: User, settings: Any
) -> None:
    settings.LOCAL_ENGINE = False  # whose files the portal passes on by itself
    with ScriptedProvider() as fake:
        point_at(settings, fake)
        job = make_job(alice, "ready", request_id="r-1", cloud_storage_url="https://a.example/b")
        for _ in range(2):
            fake.script("download_url", says(200, link.encode()))
        answer = signed_in(alice).get(url(job))
        assert answer.headers["Location"] == f"/jobs/{job.pk}/"
        assert words in text_of(signed_in(alice), url(job))
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(("state", "address"), [("training", "https://a.example/b"), ("ready", "")])
def test_before_there_is_a_file_it_says_when(alice: User, state: str, address: str) -> None:
    job = make_job(alice, state, cloud_storage_url=address)
    assert "Download it once the training is done." in text_of(signed_in(alice), url(job))
