"""The small picture that begins each row of the jobs table: what the job made, or is to make."""

from __future__ import annotations

import io
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from PIL import Image

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.live.changes import ChangeWatcher
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.services import note_pictures
from finetune_portal.jobs.sync import samples
from finetune_portal.jobs.table import rows
from finetune_portal.playground import services
from finetune_portal.playground.models import Generation
from tests.people import made_preview, make_dataset, make_generation, make_job, make_samples, signed_in
from tests.playground.conftest import content, image, ordered, ready, run_task
from tests.worker.driving import text_of


def picture_of(viewer: User, job: Job) -> str:
    """What begins the row of this job: the address of its picture, or that there is none."""
    html = text_of(signed_in(viewer), "/")
    row = html[html.index(f'<tr id="job-{job.pk}"') :].split("</tr>")[0]
    tile = re.search(r'<span class="job-picture".*?</span>', row, re.S)
    assert tile
    source = re.search(r'<img src="([^"?]+)', tile[0])
    return source[1] if source else "nothing"


def test_it_is_the_newest_result_else_sample_else_target(alice: User, job: Job, dataset: Dataset) -> None:
    assert picture_of(alice, job) == f"/datasets/{dataset.pk}/0-end-small.webp"
    Training.objects.create(job=job, samples=[0])
    assert picture_of(alice, job).startswith("/datasets/"), "a sample of the untrained model is no result"
    Training.objects.all().delete()
    make_samples(job, "0", "20", "40")
    Training.objects.create(job=job, samples=[0, 20, 40])
    assert picture_of(alice, job) == f"/jobs/{job.pk}/samples/40-small.webp"
    first, second = make_generation(job), make_generation(job)
    note_pictures(job)
    assert picture_of(alice, job) == f"/try/runs/{second.pk}/tiny.webp"
    services.delete(second, actor=alice)
    assert picture_of(alice, job) == f"/try/runs/{first.pk}/tiny.webp"
    assert picture_of(alice, ready(alice)) == "nothing"


@pytest.mark.parametrize("fields", [{"strength": 0.0}, {"state": "failed"}, {"state": "running"}])
def test_only_what_its_own_model_made_is_its_result(alice: User, job: Job, fields: dict[str, str]) -> None:
    shown, other = make_generation(job), make_generation(job)
    Generation.objects.filter(pk=other.pk).update(**fields)
    assert picture_of(alice, job) == f"/try/runs/{shown.pk}/tiny.webp"


def test_a_picture_that_is_done_is_in_the_row_of_every_open_page(alice: User, job: Job) -> None:
    watcher = ChangeWatcher()
    watcher.check()
    generation = ordered(signed_in(alice), job)
    while run_task():
        pass
    generation.refresh_from_db()
    assert generation.is_done
    watcher.version = ""  # SQLite names no commit of its own connection
    sent = b"".join(event.for_viewers for event in watcher.check())
    assert f"/try/runs/{generation.pk}/tiny.webp".encode() in sent


def test_the_preview_of_a_sample_is_small(alice: User, job: Job) -> None:
    samples.save(job.pk, {"20": image(size=(640, 480))})
    client, address = signed_in(alice), f"/jobs/{job.pk}/samples/20-small.webp"
    assert client.get(address).status_code == 202
    made = Image.open(io.BytesIO(content(made_preview(client, address))))
    assert (made.format, made.size) == ("WEBP", (160, 120))
    assert client.get(f"/jobs/{job.pk}/samples/30-small.webp").status_code == 404


def test_a_row_whose_preview_is_not_made_yet_is_soon_made_again(
    alice: User, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "PENDING_SECONDS", 0)
    generation = make_generation(job)
    address = f"/try/runs/{generation.pk}/tiny.webp"
    assert f'src="{address}?pending" data-pending' in text_of(signed_in(alice), "/")
    content(made_preview(signed_in(alice), address))
    assert f'src="{address}" alt' in text_of(signed_in(alice), "/")


def test_pictures_of_many_rows_take_as_many_queries_as_those_of_few(alice: User, job: Job) -> None:
    client = signed_in(alice)
    client.get("/")  # the first asks more

    def fill(number: int) -> None:
        for _ in range(number):
            shown = ready(alice, make_dataset(alice, data=b"", stored=False))
            make_generation(shown)
            make_generation(shown)
            Training.objects.create(job=make_job(alice, "training"), samples=[5])

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/").status_code == 200
        return len(captured)

    fill(2)
    few = queries()
    fill(15)
    assert queries() == few
