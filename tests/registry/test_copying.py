"""The worker copies the file of a finished model home, by one reading, and says where it is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections.models import Connection
from finetune_portal.deletion.services import delete_job
from finetune_portal.queue.leases import claim
from finetune_portal.registry import copy_requests, copying
from finetune_portal.registry.models import ModelFile
from finetune_portal.storage.partial import PartialFile, partial_path
from tests.fal.server import FakeFal
from tests.people import make_job, signed_in
from tests.provider import ScriptedProvider, breaks, half, says
from tests.registry.finished import content, copied, file_of, finished, finished_at_fal, texts
from tests.waiting import until
from tests.worker.driving import fresh, point_at, point_nowhere, text_of

EXPIRED = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
GONE = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
DATA = content(1)
FULL = 2**60


@pytest.fixture
def provider(settings: Any) -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        point_at(settings, running)
        yield running


def badge_of(user: User, url: str = "/") -> str:
    badge = re.search(r'<span class="badge".*?</span>', text_of(signed_in(user), url), re.DOTALL)
    assert badge
    return " ".join(re.sub(r"<[^>]+>", " ", badge[0]).split())


def test_a_job_that_becomes_ready_comes_home(alice: User, provider: ScriptedProvider) -> None:
    job = finished(alice, provider, DATA)
    assert badge_of(alice) == "Copying home"
    assert copied(job).file_sha256 == hashlib.sha256(DATA).hexdigest()
    file = file_of(job)
    assert (file.state, file.sha256, file.size) == ("stored", hashlib.sha256(DATA).hexdigest(), len(DATA))
    assert file.path.read_bytes() == DATA
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.parent.stat().st_mode & 0o777 == 0o700
    assert list(file.path.parent.iterdir()) == [file.path]
    assert badge_of(alice) == badge_of(alice, f"/jobs/{job.pk}/") == "Ready"
    assert texts(job)[-1] == "Copied the model file home: 3 MB"
    assert len(provider.sent("fetch")) == 1
    assert not copying.copy_next()


def test_more_jobs_on_their_way_take_no_more_queries(alice: User, provider: ScriptedProvider) -> None:
    client = signed_in(alice)

    def queries() -> int:
        copy_requests.create_rows()
        with CaptureQueriesContext(connection) as captured:
            assert "Copying home" in text_of(client)
        return len(captured)

    for _ in range(2):  # the first visit asks more
        finished(alice, provider, DATA)
        few = queries()
    for _ in range(9):
        finished(alice, provider, DATA)
    assert queries() == few


def test_it_comes_home_from_fal(alice: User, fal: FakeFal, at_fal: Connection) -> None:
    job = finished_at_fal(alice, at_fal, fal, DATA)
    assert copied(job).file_sha256 == hashlib.sha256(DATA).hexdigest()


def test_a_job_that_was_ready_before_waits_until_somebody_asks(
    alice: User, bob: User, charlie: User, provider: ScriptedProvider
) -> None:
    paid = provider.adds("hats")
    paid.status = "AVAILABLE"
    job = make_job(alice, "ready", request_id=paid.id, cloud_storage_url=paid.cloud_storage_url)
    assert not copying.copy_next()
    assert badge_of(alice) == "Ready"
    assert "Copy home" in text_of(signed_in(bob), f"/jobs/{job.pk}/")
    assert signed_in(charlie).post(f"/jobs/{job.pk}/copy/").status_code == 403
    assert signed_in(bob).post(f"/jobs/{job.pk}/copy/").status_code == 302
    assert copied(job).file_kept_at
    assert AuditEvent.objects.filter(action="job.copy-file", actor=bob).count() == 1
    untrained = make_job(alice, "training", request_id="2")
    page = signed_in(alice).post(f"/jobs/{untrained.pk}/copy/", follow=True).content.decode()
    assert copy_requests.NOT_THERE in page


def test_a_copy_goes_on_where_the_connection_broke(alice: User, provider: ScriptedProvider) -> None:
    job = finished(alice, provider, DATA)
    provider.script("fetch", half())
    copied(job)
    assert file_of(job).received == len(DATA) // 2
    page = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert "could not be copied home. The connection to the provider broke" in page
    assert "The next try is at" in page
    assert badge_of(alice) == "Not copied home yet"
    assert "broke before the file was whole." in text_of(signed_in(alice)), "the row says why"
    assert copied(job).file_sha256 == hashlib.sha256(DATA).hexdigest()
    ranges = [request.headers.get("range", "") for request in provider.sent("fetch")]
    assert ranges == ["", f"bytes={len(DATA) // 2}-"]
    assert file_of(job).path.read_bytes() == DATA


def test_another_version_of_the_file_begins_anew(alice: User, provider: ScriptedProvider) -> None:
    job = finished(alice, provider, DATA)
    provider.script("fetch", half())
    copied(job)
    other = content(2)
    provider.weights = dict.fromkeys(provider.weights, other)
    copied(job)
    assert file_of(job).path.read_bytes() == other
    assert fresh(job).file_sha256 == hashlib.sha256(other).hexdigest()


def test_a_storage_without_ranges_sends_it_all_again(alice: User, provider: ScriptedProvider) -> None:
    job = finished(alice, provider, DATA)
    provider.script("fetch", half(), says(200, DATA))
    assert copied(job, tries=2).file_sha256 == hashlib.sha256(DATA).hexdigest()


def test_each_try_has_a_fresh_link(alice: User, provider: ScriptedProvider) -> None:
    job = finished(alice, provider, DATA)
    provider.script("fetch", says(403, EXPIRED))
    copied(job)
    page = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert "The model file could not be copied home. The storage did not give the file: Request has" in page
    assert fresh(job).file_check_requested_at
    assert copied(job).file_kept_at
    assert len({request.query for request in provider.sent("fetch")}) == 2
    assert [text for text in texts(job) if "not copied home yet" in text], "the timeline has it"


def test_it_waits_for_room_on_the_disk(alice: User, provider: ScriptedProvider, settings: Any) -> None:
    job = finished(alice, provider, DATA)
    settings.DISK_FLOOR_BYTES = FULL
    copied(job)
    assert badge_of(alice) == "Waits for room on the disk"
    assert "room for 0 bytes, and this needs 3 MB" in text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert file_of(job).due_at > now()
    settings.DISK_FLOOR_BYTES = 0
    assert copied(job).file_kept_at
    assert badge_of(alice) == "Ready"


def test_a_file_that_is_gone_is_given_up_and_said(alice: User, provider: ScriptedProvider) -> None:
    job = finished(alice, provider, DATA)
    provider.script("fetch", says(404, GONE))
    copied(job)
    assert badge_of(alice) == "Not copied home"
    assert "The model file could not be copied home." in text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert fresh(job).file_gone_at
    assert not copying.copy_next()
    signed_in(alice).post(f"/jobs/{job.pk}/copy/")
    assert copied(job).file_kept_at, "it is back"


def test_a_provider_that_is_away_is_tried_for_days_and_then_given_up(
    alice: User, provider: ScriptedProvider, settings: Any
) -> None:
    job = finished(alice, provider, DATA)
    key_and_url = settings.SEGMIND_BASE_URL
    point_nowhere(settings)
    copied(job, tries=5)
    assert file_of(job).state == "wanted"
    ModelFile.objects.update(requested_at=now() - copying.TRIED_FOR - timedelta(seconds=1))
    copied(job)
    assert file_of(job).state == "failed"
    assert "could not be copied home. The provider cannot be reached." in fresh(job).file_error
    assert len([text for text in texts(job) if "not copied home yet" in text]) == 1
    settings.SEGMIND_BASE_URL = key_and_url
    signed_in(alice).post(f"/jobs/{job.pk}/copy/")
    assert copied(job).file_kept_at


def test_a_whole_file_whose_row_does_not_say_so_is_taken_as_it_is(
    alice: User, provider: ScriptedProvider
) -> None:
    """A worker was killed between the move and the commit."""
    job = finished(alice, provider, DATA)
    copy_requests.create_rows()
    with PartialFile(file_of(job).path, 0) as partial:
        partial.write(DATA)
        partial.finish()
    assert copied(job).file_sha256 == hashlib.sha256(DATA).hexdigest()
    assert provider.sent("fetch") == []


def test_a_file_that_another_process_writes_is_left_alone(alice: User, provider: ScriptedProvider) -> None:
    job = finished(alice, provider, DATA)
    copy_requests.create_rows()
    with PartialFile(file_of(job).path, 0) as partial:
        copied(job)
        assert provider.sent("fetch") == []
        partial.write(DATA[:1000])
    assert copied(job).file_sha256 == hashlib.sha256(DATA).hexdigest()
    assert not partial_path(file_of(job).path).exists()


def test_try_now_does_not_wait_for_the_pause(alice: User, provider: ScriptedProvider) -> None:
    job = finished(alice, provider, DATA)
    provider.script("fetch", breaks(taken=False), breaks(taken=False))
    copied(job, tries=2)
    ModelFile.objects.update(due_at=now() + timedelta(minutes=9))
    assert not copying.copy_next()
    assert "Try now" in text_of(signed_in(alice), f"/jobs/{job.pk}/")
    signed_in(alice).post(f"/jobs/{job.pk}/copy/")
    assert copying.copy_next()
    assert fresh(job).file_kept_at


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
def test_a_job_is_deleted_in_the_moment_in_which_the_worker_writes(
    alice: User, provider: ScriptedProvider
) -> None:
    """Both lock the job first. The other way round, each waited for what the other one had."""
    job = finished(alice, provider, DATA)
    copy_requests.create_rows()
    file = claim(ModelFile.objects.select_related("model__job"), seconds=60)
    assert file
    writes: list[Future[None]] = []

    def write_meanwhile(execute: Any, sql: str, *args: Any) -> Any:
        if not writes and sql.startswith("DELETE") and "registry_modelfile" in sql:
            writes.append(worker.submit(copying._put_off, file, "Not now.", timedelta(seconds=1)))
            until(somebody_waits, why="the worker waits")
        return execute(sql, *args)

    with ThreadPoolExecutor(1) as worker:
        with connection.execute_wrapper(write_meanwhile):
            delete_job(job, actor=alice)
        writes[0].result(60)
        worker.submit(connections.close_all).result()
    assert not ModelFile.objects.exists()


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted")
        return cursor.fetchone() is not None
