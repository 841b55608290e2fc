"""A check goes on in slices: its progress is in the row, a kill loses one slice, the verdict is the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.datasets import checking
from finetune_portal.datasets.checker.inspect import inspect_slice, inspect_zip
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.sync import submit
from finetune_portal.queue.leases import claim
from tests.datasets.corpus.zip_builder import dataset, packed, picture
from tests.datasets.uploads import upload
from tests.people import HTMX, make_job, signed_in

WHOLE = packed(dataset(6))
FILES = 18


@pytest.fixture
def uploaded(alice: User) -> Dataset:
    return upload(alice, WHOLE)


def slice_of(row: Dataset, seconds: float = 0) -> Dataset:
    """What a worker does, for so many seconds."""
    held = claim(Dataset.objects.filter(pk=row.pk, state=Dataset.State.CHECKING), seconds=60)
    assert held is not None
    checking.check(held, seconds)
    row.refresh_from_db()
    return row


def test_a_slice_looks_at_least_at_one_file_and_the_verdict_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "dataset.zip"
    path.write_bytes(
        packed(dataset() | {"01.txt": "the man’s".encode("cp1252"), "02_end.png": picture("WEBP")})
    )
    seen: dict[str, Any] = {}
    for number in range(1, 15):
        outcome = inspect_slice(path, seen, seconds=0)
        assert (outcome.verdict, outcome.done, outcome.total) == (None, number, 15)
        seen = json.loads(json.dumps(outcome.seen))
    assert inspect_slice(path, seen, seconds=0).verdict == inspect_zip(path)


def test_a_check_that_goes_on_shows_how_far_it_is(alice: User, uploaded: Dataset) -> None:
    row = slice_of(slice_of(uploaded))
    assert (row.state, row.files_checked, row.files_to_check) == (Dataset.State.CHECKING, 2, FILES)
    client = signed_in(alice)
    for url in (f"/datasets/{row.pk}/", "/datasets/"):
        assert f"Checking, 2 of {FILES} files" in client.get(url).content.decode()
    assert "hx-get" in client.get(f"/datasets/{row.pk}/status/", headers=HTMX).content.decode()


def test_a_check_that_was_killed_goes_on_from_its_last_slice(uploaded: Dataset) -> None:
    """Nothing but the row and the file beside the ZIP is left of the worker that was killed."""
    for _ in range(4):
        slice_of(uploaded)
    killed = claim(Dataset.objects.filter(pk=uploaded.pk), seconds=0)
    assert killed is not None
    assert slice_of(uploaded).files_checked == 5
    row = slice_of(uploaded, 60)
    assert (row.state, len(row.pairs), row.files_to_check) == (Dataset.State.READY, 6, 0)
    assert not row.seen_path.exists()


def test_what_was_seen_is_not_looked_at_again(uploaded: Dataset) -> None:
    slice_of(uploaded)
    work = json.loads(uploaded.seen_path.read_text())
    ((image, raw, findings),) = work["seen"].values()
    work["seen"] = {name: [image, raw, [*findings, ["tiny", ""]]] for name in work["seen"]}
    uploaded.seen_path.write_text(json.dumps(work))
    assert "“01_start.png” is smaller than 256 pixels" in slice_of(uploaded, 60).warnings[0]


def test_a_lost_file_of_progress_only_costs_time(uploaded: Dataset) -> None:
    slice_of(uploaded)
    uploaded.seen_path.write_text("{ half of")
    assert slice_of(uploaded, 60).state == Dataset.State.READY


def test_the_job_waits_for_the_verdict(alice: User, uploaded: Dataset) -> None:
    job = make_job(alice, State.WAITING, dataset=uploaded)
    row = slice_of(uploaded)
    submit.release_waiting()
    job.refresh_from_db()
    assert (job.state, row.state) == (State.WAITING, Dataset.State.CHECKING)
    assert slice_of(uploaded, 60).transfers.filter(connection=connections.default()).exists()


def test_a_check_of_over_ten_minutes_ends_in_a_verdict(uploaded: Dataset) -> None:
    slice_of(uploaded)
    work = json.loads(uploaded.seen_path.read_text()) | {"seconds": checking.MAX_SECONDS}
    uploaded.seen_path.write_text(json.dumps(work))
    assert "over ten minutes" in slice_of(uploaded).problems[0]
    assert not uploaded.seen_path.exists()


def test_others_get_their_turn(alice: User, uploaded: Dataset) -> None:
    slice_of(uploaded)
    other = upload(alice, WHOLE, "caps.zip")
    slice_of(uploaded)
    due = claim(Dataset.objects.filter(state=Dataset.State.CHECKING), seconds=60)
    assert due == other
