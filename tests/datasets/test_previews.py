"""Previews: made by the worker, asked for by pages, which never wait for them."""

from __future__ import annotations

import hashlib
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponseBase
from django.utils.timezone import now
from PIL import Image

from finetune_portal.accounts.models import User
from finetune_portal.datasets import checker, decoding, library, previews
from finetune_portal.datasets.checker import sandbox
from finetune_portal.datasets.models import Dataset, PreviewBatch
from finetune_portal.queue.leases import claim
from finetune_portal.worker import tasks
from tests.datasets.corpus.zip_builder import dataset as pairs_of
from tests.datasets.corpus.zip_builder import packed
from tests.people import made_preview, make_dataset, signed_in

PAIRS = 14


def url(dataset: Dataset, name: str) -> str:
    return f"/datasets/{dataset.pk}/{name}.webp"


def status_of(answer: HttpResponseBase) -> int:
    """The status of an answer that is read to its end, which closes its file."""
    b"".join(answer)
    return answer.status_code


def names(dataset: Dataset) -> set[str]:
    return {path.name.removesuffix(".webp") for path in dataset.previews.glob("*.webp")}


def work() -> int:
    """What the worker does until no batch is due; the number of its steps."""
    steps = 0
    while previews.make_next():
        steps += 1
    return steps


@pytest.fixture
def many(alice: User) -> Dataset:
    return make_dataset(alice, data=packed(pairs_of(PAIRS)))


def test_the_first_pairs_have_previews_once_they_are_checked(alice: User) -> None:
    many = make_dataset(alice, data=packed(pairs_of(PAIRS)), state=Dataset.State.CHECKING, verdict={})
    assert tasks.check_dataset()
    work()
    assert names(many) == {f"{number}-{half}-small" for number in range(12) for half in ("start", "end")}
    answer = signed_in(alice).get(url(many, "0-start-small"))
    assert answer.headers["Content-Type"] == "image/webp"
    assert b"".join(answer)
    assert "data-pending" not in signed_in(alice).get(f"/datasets/{many.pk}/").content.decode()


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("13-end-small", {f"{number}-{half}-small" for number in (12, 13) for half in ("start", "end")}),
        ("3-start-large", {"3-start-large", "3-end-large"}),
    ],
)
def test_one_that_is_not_there_is_asked_for_and_made(
    charlie: User, many: Dataset, name: str, made: set[str]
) -> None:
    client = signed_in(charlie)
    waiting = client.get(url(many, name))
    assert (waiting.status_code, waiting.headers["Retry-After"]) == (202, "1")
    assert waiting.headers["Cache-Control"] == "no-store"
    assert waiting.content.startswith(b"<svg")
    assert names(many) == set(), "a page makes none itself"
    assert client.get(url(many, name)).status_code == 202
    assert work() == 1, "asked for twice, made once"
    assert names(many) == made
    assert not PreviewBatch.objects.exists()
    answer = client.get(url(many, name))
    assert status_of(answer) == 200
    assert answer.headers["Cache-Control"] == "private, max-age=86400, immutable"


def test_a_pair_asks_for_the_next_one_as_well(charlie: User, many: Dataset) -> None:
    signed_in(charlie).get(f"/datasets/{many.pk}/pairs/3/")
    assert work() == 2
    assert names(many) == {f"{number}-{half}-large" for number in (3, 4) for half in ("start", "end")}
    signed_in(charlie).get(f"/datasets/{many.pk}/pairs/{PAIRS - 1}/")
    assert work() == 1, "the last one has no next"


def test_a_page_says_which_are_not_there_yet(alice: User, dataset: Dataset) -> None:
    client, page = signed_in(alice), f"/datasets/{dataset.pk}/"
    html = client.get(page).content.decode()
    assert html.count("data-pending") == 12
    assert f'src="{url(dataset, "0-start-small")}?pending" data-pending' in html
    assert status_of(made_preview(client, url(dataset, "0-start-small"))) == 200
    html = client.get(page).content.decode()
    assert f'src="{url(dataset, "0-start-small")}"' in html
    assert "data-pending" not in html


def test_a_placeholder_has_the_shape_of_the_picture(alice: User) -> None:
    wide = Image.new("RGB", (3000, 1000))
    content = io.BytesIO()
    wide.save(content, "PNG")
    dataset = make_dataset(alice, data=packed(pairs_of() | {"01_start.png": content.getvalue()}))
    svg = signed_in(alice).get(url(dataset, "0-start-large")).content.decode()
    assert re.findall(r' (?:width|height)="(\d+)"', svg) == ["1024", "341"]


def test_one_that_cannot_be_made_is_tried_once(alice: User, many: Dataset) -> None:
    broken = packed(pairs_of(PAIRS) | {"00_start.png": b"\x89PNG\r\n\x1a\n"})
    first = many.pairs[0]["start"]
    many.path.write_bytes(packed(pairs_of(PAIRS) | {first: broken[:40]}))
    client = signed_in(alice)
    assert made_preview(client, url(many, "0-start-small")).status_code == 404
    assert status_of(client.get(url(many, "0-end-small"))) == 200
    assert client.get(url(many, "0-start-small")).content.startswith(b"<svg")
    assert not PreviewBatch.objects.exists()


@pytest.mark.long
def test_large_pictures_are_made_in_slices_and_others_get_their_turn(
    alice: User, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "SLICE_SECONDS", 0.0)
    other = make_dataset(alice)
    client = signed_in(alice)
    for each in (dataset, other):
        client.get(url(each, "0-start-small"))
    previews.make_next()
    previews.make_next()
    assert (len(names(dataset)), len(names(other))) == (1, 1)
    work()
    assert (len(names(dataset)), len(names(other))) == (12, 12)


def test_a_worker_that_is_killed_loses_nothing(alice: User, dataset: Dataset) -> None:
    client = signed_in(alice)
    client.get(url(dataset, "0-start-small"))
    assert claim(PreviewBatch.objects.all(), seconds=60), "by a worker that ends here"
    assert not previews.make_next()
    PreviewBatch.objects.update(lease_expires_at=now() - timedelta(seconds=1))
    assert status_of(made_preview(client, url(dataset, "0-start-small"))) == 200


def test_where_the_disk_is_full_it_is_tried_again(
    alice: User, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(alice)
    client.get(url(dataset, "0-start-small"))
    with monkeypatch.context() as full:
        full.setattr(sandbox, "PICTURE_LIMITS", checker.Limits(output=50))
        work()
    batch = PreviewBatch.objects.get()
    assert now() < batch.due_at < now() + timedelta(seconds=10)
    assert client.get(url(dataset, "0-start-small")).status_code == 202
    PreviewBatch.objects.update(due_at=now())
    assert status_of(made_preview(client, url(dataset, "0-start-small"))) == 200


def test_a_deleted_dataset_leaves_nothing_behind(alice: User, dataset: Dataset) -> None:
    signed_in(alice).get(url(dataset, "0-start-small"))
    library.delete(dataset, actor=alice)
    work()
    assert not PreviewBatch.objects.exists()
    assert not dataset.previews.exists()


def test_those_of_an_earlier_release_are_kept(alice: User, dataset: Dataset) -> None:
    """Also where the ZIP was removed since, from which no other could be made."""
    client, address = signed_in(alice), url(dataset, "0-end-small")
    assert status_of(made_preview(client, address)) == 200
    member = hashlib.sha256(dataset.pairs[0]["end"].encode()).hexdigest()[:24]
    shown = previews.path_of(dataset, 0, "end", "small")
    shown.rename(dataset.previews / f"{member}-small.webp")
    Dataset.objects.update(file_removed_at=now())
    dataset.path.unlink()
    assert status_of(client.get(address)) == 200
    assert shown.exists()


def test_a_page_that_asks_for_all_at_once_queues_them_once(many: Dataset) -> None:
    """Also where another process has queued them between the look and the insert."""

    def quicker(execute: Any, sql: str, *arguments: Any) -> Any:
        if not hasty and sql.startswith("INSERT"):
            hasty.append(sql)
            previews.request(many, 1, "small")
        return execute(sql, *arguments)

    hasty: list[str] = []
    with connection.execute_wrapper(quicker):
        for number in range(12):
            assert previews.request(many, number, "small")
    assert hasty
    assert PreviewBatch.objects.count() == 1
