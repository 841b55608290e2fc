"""Copies, downloads and checks that find no room on the disk say so or wait, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.datasets import checking, previews, retention, versions
from finetune_portal.datasets.models import Dataset, PreviewBatch
from finetune_portal.queue.leases import claim
from finetune_portal.worker import tasks
from tests.people import make_dataset

FULL = 2**60


def kept(settings: Any) -> list[str]:
    return sorted(path.name for path in (Path(settings.DATA_DIR)).rglob("*.*") if path.suffix != ".lock")


def test_a_new_version_is_refused_with_the_numbers(alice: User, settings: Any) -> None:
    dataset = make_dataset(alice)
    before = kept(settings)
    settings.DISK_FLOOR_BYTES = FULL
    version = versions.with_captions(dataset, {"01": "a hat"}, actor=alice)
    assert tasks.make_version()
    version.refresh_from_db()
    assert version.state == "rejected"
    assert "has room for 0 bytes" in version.problems[0]
    assert kept(settings) == before


def test_a_check_in_slices_waits_for_room(alice: User, settings: Any) -> None:
    make_dataset(alice, state="checking")
    settings.DISK_FLOOR_BYTES = FULL
    dataset = claim(Dataset.objects.all(), seconds=60)
    assert dataset
    checking.check(dataset, seconds=0)
    dataset.refresh_from_db()
    assert dataset.state == "checking"
    assert dataset.due_at > dataset.updated_at, "it is tried again in a while"
    assert not dataset.seen_path.exists()


def test_a_preview_is_made_when_there_is_room(alice: User, settings: Any) -> None:
    dataset = make_dataset(alice)
    preview = previews.path_of(dataset, 0, "start", "small")
    assert previews.request(dataset, 0, "small")
    settings.DISK_FLOOR_BYTES = FULL
    assert previews.make_next()
    assert previews.state_of(preview) == "missing"
    settings.DISK_FLOOR_BYTES = 0
    PreviewBatch.objects.update(due_at=now())
    assert previews.make_next()
    assert previews.state_of(preview) == "made"


def test_a_file_that_no_row_names_gives_its_room_back(alice: User, settings: Any) -> None:
    """A process was killed between the file and its row, or the other way round."""
    dataset = make_dataset(alice)
    orphan = dataset.path.with_name("00000000-0000-4000-8000-000000000000.zip")
    orphan.write_bytes(b"PK")
    retention.clear_orphans()
    assert orphan.exists(), "its row could still come"
    retention.clear_orphans(seconds=0)
    assert not orphan.exists()
    assert dataset.path.exists()
    assert Dataset.objects.count() == 1
