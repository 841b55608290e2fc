"""Previews of inputs and results: made with the picture, and by the worker where they are missing."""

from __future__ import annotations

from finetune_portal.accounts.models import User
from finetune_portal.datasets import previews
from finetune_portal.datasets.models import PreviewBatch
from finetune_portal.jobs.models import Job
from finetune_portal.playground import results, services
from tests.people import made_preview, make_generation, signed_in
from tests.playground.conftest import content
from tests.worker.driving import text_of


def test_a_missing_one_is_made_by_the_worker(alice: User, job: Job) -> None:
    generation = make_generation(job)
    client, address = signed_in(alice), f"/try/runs/{generation.pk}/large.webp"
    page = f"/jobs/{job.pk}/"
    assert f'src="{address}?pending" data-pending' in text_of(client, page)
    assert client.get(address).status_code == 202
    assert not results.preview_path(generation, "large").exists(), "a page makes none itself"
    assert content(made_preview(client, address)).startswith(b"RIFF")
    assert f'src="{address}"' in text_of(client, page)


def test_one_whose_picture_is_gone_is_not_there(alice: User, job: Job) -> None:
    generation = make_generation(job)
    generation.path.unlink()
    answer = signed_in(alice).get(f"/try/runs/{generation.pk}/large.webp")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "no-store")
    assert not PreviewBatch.objects.exists()


def test_what_is_deleted_takes_its_previews_along(alice: User, job: Job) -> None:
    generation = make_generation(job)
    folder = results.preview_path(generation.input, "small").parent
    results.request_preview(generation, "small")
    assert previews.make_next()
    assert len(list(folder.iterdir())) == 4, "three of the input, one of the result"
    services.delete(generation, actor=alice)
    assert list(folder.iterdir()) == []
