"""Settings, Models: what older accounts have comes home, copies that nobody needs leave, lost ones return."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.jobs.models import Job
from finetune_portal.registry import copy_requests, copying, retention
from finetune_portal.registry.models import ModelFile
from finetune_portal.worker import tasks
from tests.people import make_job, signed_in
from tests.provider import WEIGHTS, ScriptedProvider, says
from tests.registry.finished import content, copied, file_of, finished, texts
from tests.worker.driving import fresh, point_at, point_nowhere, text_of

DATA = content(4, 100_000)
PAGE = "/settings/models/"
DAYS = 30


@pytest.fixture
def provider(settings: Any) -> Iterator[ScriptedProvider]:
    settings.LOCAL_ENGINE = False  # whose files the portal passes on by itself
    with ScriptedProvider() as running:
        point_at(settings, running)
        yield running


def old_job(owner: User | None, provider: ScriptedProvider, **fields: Any) -> Job:
    """A job that was ready before the portal kept copies."""
    paid = provider.adds("hats")
    paid.status = "AVAILABLE"
    return make_job(owner, "ready", request_id=paid.id, cloud_storage_url=paid.cloud_storage_url, **fields)


def test_an_admin_brings_all_finished_models_home(
    alice: User, dana: User, provider: ScriptedProvider
) -> None:
    jobs = [old_job(alice, provider), old_job(None, provider), old_job(alice, provider, archived_at=now())]
    gone = old_job(alice, provider, file_gone_at=now())
    here = copied(finished(alice, provider, DATA))
    make_job(alice, "training", request_id="t")
    page = text_of(signed_in(dana), PAGE)
    assert "3 finished models have no copy here." in page
    answer = signed_in(dana).post(f"{PAGE}copy/", follow=True).content.decode()
    assert "3 models will be copied home." in answer
    event = AuditEvent.objects.get(action="job.copy-all-files")
    assert (event.actor, event.detail) == (dana, {"count": 3})
    while copying.copy_next():
        pass
    assert [file_of(job).path.read_bytes() for job in jobs] == [WEIGHTS] * 3
    assert not ModelFile.objects.filter(model__job=gone).exists()
    assert ModelFile.objects.filter(model__job=here).count() == 1
    page = text_of(signed_in(dana), PAGE)
    assert "4 files, 100 kB" in page
    assert "Bring all finished models home" not in page
    assert "is here or on its way" in signed_in(dana).post(f"{PAGE}copy/", follow=True).content.decode()


def test_what_could_not_be_copied_is_named_there(alice: User, dana: User, provider: ScriptedProvider) -> None:
    job = finished(alice, provider, DATA, name="Lost hats")
    provider.script("fetch", says(404, b"<Error><Code>NoSuchKey</Code></Error>"))
    copied(job)
    page = text_of(signed_in(dana), PAGE)
    assert "Lost hats" in page
    assert "The model file could not be copied home." in page


def idle(job: Job) -> None:
    ModelFile.objects.filter(model__job=job).update(used_at=now() - timedelta(days=DAYS, seconds=1))


def test_a_copy_that_nobody_downloads_is_removed_where_the_provider_has_the_file(
    alice: User, provider: ScriptedProvider, settings: Any
) -> None:
    job, used = (copied(finished(alice, provider, DATA)) for _ in range(2))
    idle(job)
    assert not retention.clear_old_copies(), "for good, if nothing else is set"
    settings.MODEL_KEEP_DAYS = DAYS
    path = file_of(job).path
    assert tasks.cleanup()
    assert not path.exists()
    assert fresh(job).file_kept_at is None
    assert fresh(job).file_sha256, "what is known of the file stays"
    assert "nobody downloaded it for 30 days" in texts(job)[-1]
    assert AuditEvent.objects.filter(action="job.remove-copy", thing=f"job {job.pk}", actor=None).exists()
    assert file_of(used).path.exists()
    assert not retention.clear_old_copies()
    link = signed_in(alice).get(f"/jobs/{job.pk}/download/").headers["Location"]
    assert link.startswith(provider.url)
    signed_in(alice).post(f"/jobs/{job.pk}/copy/")
    assert copied(fresh(job)).file_kept_at, "and it can come back"


def test_a_download_keeps_the_copy(alice: User, provider: ScriptedProvider, settings: Any) -> None:
    settings.MODEL_KEEP_DAYS = DAYS
    job = copied(finished(alice, provider, DATA))
    idle(job)
    signed_in(alice).get(f"/jobs/{job.pk}/download/")
    assert not retention.clear_old_copies()


@pytest.mark.parametrize("how", ["away", "gone"])
def test_the_last_copy_stays(how: str, alice: User, provider: ScriptedProvider, settings: Any) -> None:
    settings.MODEL_KEEP_DAYS = DAYS
    job = copied(finished(alice, provider, DATA))
    idle(job)
    if how == "away":
        point_nowhere(settings)
    else:
        provider.script("fetch", says(404, b"<Error><Code>NoSuchKey</Code></Error>"))
    assert retention.clear_old_copies()
    assert not retention.clear_old_copies(), "it is asked for again a day later"
    assert file_of(job).path.read_bytes() == DATA


def test_files_that_no_row_wants_give_their_room_back(alice: User, provider: ScriptedProvider) -> None:
    job = copied(finished(alice, provider, DATA))
    folder = file_of(job).path.parent
    strays = [folder / "stray.safetensors", folder / ".stray.safetensors.partial"]
    for path in strays:
        path.write_bytes(b"x")
    retention.clear_orphans()
    assert all(path.exists() for path in strays), "its row could still come"
    yesterday = time.time() - 25 * 3600
    for path in [*strays, file_of(job).path]:
        os.utime(path, (yesterday, yesterday))
    retention.clear_orphans()
    assert list(folder.iterdir()) == [file_of(job).path]


def test_a_restore_without_the_copies_has_them_copied_again(alice: User, provider: ScriptedProvider) -> None:
    job, other = (copied(finished(alice, provider, DATA)) for _ in range(2))
    file_of(job).path.unlink()
    assert copy_requests.note_all_missing() == 1
    assert fresh(job).file_kept_at is None
    assert fresh(other).file_kept_at
    assert copied(job).file_kept_at
    assert file_of(job).path.read_bytes() == DATA
