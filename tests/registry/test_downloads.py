"""A download comes from the portal's own copy, with ranges and an ETag, and from the provider without one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.page.snippets import snippets
from finetune_portal.registry import copying
from tests.fal.server import FakeFal
from tests.gateway.api_client import DOWNLOAD, token_of
from tests.people import make_dataset, make_job, signed_in
from tests.provider import ScriptedProvider
from tests.registry.finished import content, copied, file_of, finished, finished_at_fal, texts
from tests.running import RunningEngine
from tests.worker.driving import (
    content_of,
    followed_until,
    fresh,
    point_at,
    point_nowhere,
    send_now,
    text_of,
    transfer_now,
)

DATA = content(3)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def provider(settings: Any) -> Iterator[ScriptedProvider]:
    settings.LOCAL_ENGINE = False  # whose files the portal passes on by itself
    with ScriptedProvider() as running:
        point_at(settings, running)
        yield running


@pytest.fixture
def job(alice: User, provider: ScriptedProvider, settings: Any) -> Job:
    """Its provider has gone since it came home."""
    kept = copied(finished(alice, provider, DATA, name="Hüte für Anna"))
    point_nowhere(settings)
    return kept


def link_of(user: User, job: Job) -> str:
    response = signed_in(user).get(f"/jobs/{job.pk}/download/")
    assert response.status_code == 303
    return str(response.headers["Location"])


def test_it_needs_no_provider(alice: User, charlie: User, job: Job) -> None:
    link = link_of(charlie, job)
    answer = Client().get(link)
    assert content_of(answer) == DATA
    assert answer.headers["ETag"] == f'"{SHA256}"'
    assert answer.headers["Content-Length"] == str(len(DATA))
    name = f"Hute fur Anna-{job.nonce}.safetensors"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    event = AuditEvent.objects.latest("pk")
    assert (event.actor, event.action, event.thing) == (charlie, "job.download", f"job {job.pk}")


@pytest.mark.parametrize(
    ("wanted", "first", "last"), [("0-9", 0, 9), ("2999990-", -10, -1), ("-7", -7, -1), ("5-9999999", 5, -1)]
)
def test_a_range_is_answered_with_206(alice: User, job: Job, wanted: str, first: int, last: int) -> None:
    link = link_of(alice, job)
    headers = {"Range": f"bytes={wanted}", "If-Range": f'"{SHA256}"'}
    answer = Client().get(link, headers=headers)
    begin, end = first % len(DATA), last % len(DATA)
    assert (answer.status_code, content_of(answer)) == (206, DATA[begin : end + 1])
    assert answer.headers["Content-Range"] == f"bytes {begin}-{end}/{len(DATA)}"


def test_what_the_provider_says_later_takes_no_copy_away(alice: User, job: Job) -> None:
    for state in ("failed", "training"):
        Job.objects.filter(pk=job.pk).update(state=state)
        assert content_of(Client().get(link_of(alice, job))) == DATA


def test_a_range_of_another_version_gets_the_whole(alice: User, job: Job) -> None:
    headers = {"Range": "bytes=5-9", "If-Range": '"another"'}
    answer = Client().get(link_of(alice, job), headers=headers)
    assert (answer.status_code, content_of(answer)) == (200, DATA)
    beyond = Client().get(link_of(alice, job), headers={"Range": f"bytes={len(DATA)}-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(DATA)}")


def test_scripts_and_lists_get_ours(alice: User, job: Job) -> None:
    headers = {"x-api-key": token_of(alice, "download")}
    bare = Client().get(DOWNLOAD, {"cloud_storage_url": job.cloud_storage_url}, headers=headers)
    listed = signed_in(alice).post("/jobs/links/", {"job": [job.pk]})
    for text in (bare.content.decode(), listed.content.decode()):
        url = re.findall(r"https?://\S+", text)[0]
        assert content_of(Client().get(f"/{url.split('/', 3)[3]}")) == DATA


def test_a_model_of_fal_has_the_name_of_its_job(alice: User, fal: FakeFal, at_fal: Connection) -> None:
    job = finished_at_fal(alice, at_fal, fal, DATA, name="hats")
    assert signed_in(alice).get(f"/jobs/{job.pk}/download/").headers["Location"] == job.cloud_storage_url
    assert job.model_file_name in snippets(job)[0].text
    job = copied(job)
    answer = Client().get(link_of(alice, job))
    assert f'filename="hats-{job.nonce}.safetensors"' in answer.headers["Content-Disposition"]
    assert f"hats-{job.nonce}.safetensors" in snippets(job)[0].text


def test_a_file_that_the_provider_deleted_is_no_loss(alice: User, job: Job) -> None:
    Job.objects.update(file_gone_at=now())
    table, page = text_of(signed_in(alice)), text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert "Deleted at the provider" not in table
    assert "found it deleted there" not in page
    assert "The provider no longer has it." in page
    assert content_of(Client().get(link_of(alice, job))) == DATA


def test_a_copy_that_is_missing_on_the_disk_is_fetched_from_the_provider_again(
    alice: User, job: Job, provider: ScriptedProvider, settings: Any
) -> None:
    link = link_of(alice, job)
    file_of(job).path.unlink()
    answer = Client().get(link)
    assert (answer.status_code, file_of(job).state) == (410, "removed")
    assert "missing on its disk" in texts(job)[-1]
    point_at(settings, provider)
    elsewhere = signed_in(alice).get(f"/jobs/{job.pk}/download/")
    assert elsewhere.headers["Location"].startswith(provider.url), "from the provider meanwhile"
    assert copied(fresh(job)).file_kept_at
    assert content_of(Client().get(link)) == DATA


def test_the_engines_model_is_served_from_the_copy_when_the_engine_is_away(
    alice: User, engine: RunningEngine, settings: Any
) -> None:
    point_at(settings, engine)
    dataset = make_dataset(alice, stored=False)
    transfer_now(dataset)
    job = followed_until(send_now(make_job(alice, dataset=dataset, name="night")))
    by_engine = content_of(Client().get(link_of(alice, job)))
    assert copying.copy_next()
    point_nowhere(settings)
    answer = Client().get(link_of(alice, fresh(job)))
    assert content_of(answer) == by_engine
    assert answer.headers["ETag"] == f'"{hashlib.sha256(by_engine).hexdigest()}"'
