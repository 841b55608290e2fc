"""The library's pages and pictures."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.test import Client
from PIL import Image

from finetune_portal.accounts.models import User
from finetune_portal.datasets import services
from finetune_portal.datasets.models import Dataset
from finetune_portal.storage import files
from finetune_portal.worker import tasks
from tests.people import HTMX, made_preview, make_dataset, make_job, signed_in
from tests.worker.driving import text_of


def picture(dataset: Dataset, name: str = "0-start-small") -> str:
    return f"/datasets/{dataset.pk}/{name}.webp"


def test_the_library_shows_every_ones_datasets(charlie: User, alice: User, bob: User) -> None:
    make_dataset(alice, name="Nights")
    make_dataset(bob, name="Hats")
    html = text_of(signed_in(charlie), "/datasets/")
    assert "Nights" in html
    assert "Hats" in html


def test_an_empty_library_says_where_datasets_come_from(charlie: User) -> None:
    html = text_of(signed_in(charlie), "/datasets/")
    assert "No datasets yet" in html
    assert 'href="/datasets/sample.zip"' in html


def test_the_library_pages(alice: User) -> None:
    for number in range(30):
        make_dataset(alice, name=f"dataset {number:02}", data=b"")
    client = signed_in(alice)
    first = text_of(client, "/datasets/")
    assert "dataset 29" in first
    assert "dataset 05" not in first
    last = Dataset.objects.get(name="dataset 06").pk
    assert f"before={last}" in first
    assert "dataset 05" in text_of(client, f"/datasets/?before={last}")


def test_a_datasets_page_shows_its_pairs_and_its_jobs(charlie: User, alice: User, dataset: Dataset) -> None:
    job = make_job(alice, name="Night by night", dataset=dataset)
    html = text_of(signed_in(charlie), f"/datasets/{dataset.pk}/")
    assert html.count("turn day into night, with a moon and lit windows") == 6
    assert f'href="/jobs/{job.pk}/" dir="auto">Night by night<' in html
    assert "6 pairs, 6 with a caption" in html
    assert "/jobs/new/" not in html, "a viewer cannot train"


def test_an_unknown_dataset_is_not_there(alice: User) -> None:
    assert signed_in(alice).get("/datasets/4711/").status_code == 404


def test_a_refused_dataset_says_why_and_offers_no_training(alice: User) -> None:
    problems = ["07_start.png has no partner."]
    dataset = make_dataset(alice, stored=False, state=Dataset.State.REJECTED, verdict={"problems": problems})
    html = text_of(signed_in(alice), f"/datasets/{dataset.pk}/")
    assert problems[0] in html
    assert "Train with it" not in html


def test_the_status_asks_again_until_nothing_more_will_change(alice: User) -> None:
    dataset = make_dataset(alice, stored=False, state=Dataset.State.CHECKING)
    client, url = signed_in(alice), f"/datasets/{dataset.pk}/status/"
    assert client.get(url).headers["Location"] == f"/datasets/{dataset.pk}/"
    html = client.get(url, headers=HTMX).content.decode()
    assert "Checking the files" in html
    assert f'hx-get="{url}"' in html
    Dataset.objects.update(state=Dataset.State.REJECTED)
    assert "hx-get" not in client.get(url, headers=HTMX).content.decode()


@pytest.mark.parametrize(("edge", "pixels"), [("small", 160), ("large", 512)])
def test_a_picture_is_a_small_webp(charlie: User, dataset: Dataset, edge: str, pixels: int) -> None:
    response = made_preview(signed_in(charlie), picture(dataset, f"5-end-{edge}"))
    content = b"".join(response)
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("WEBP", (pixels, pixels))
    assert response.headers["Content-Type"] == "image/webp"
    assert "private" in response.headers["Cache-Control"]


def test_the_halves_of_a_pair_are_not_mixed_up(alice: User, dataset: Dataset) -> None:
    client = signed_in(alice)

    def brightness(half: str) -> float:
        with Image.open(
            io.BytesIO(b"".join(made_preview(client, picture(dataset, f"0-{half}-small"))))
        ) as image:
            return image.convert("L").resize((1, 1)).getpixel((0, 0))

    assert brightness("start") > brightness("end") + 50, "day before night"


@pytest.mark.parametrize("name", ["6-start-small", "0-start-huge", "0-middle-small", "x-start-small"])
def test_a_picture_that_is_not_there(alice: User, dataset: Dataset, name: str) -> None:
    assert signed_in(alice).get(picture(dataset, name)).status_code == 404


def test_a_picture_whose_file_is_gone_is_not_there(alice: User, dataset: Dataset) -> None:
    dataset.path.unlink()
    response = signed_in(alice).get(picture(dataset))
    assert response.status_code == 404
    assert response.content.startswith(b"<svg"), "a placeholder instead of a broken picture"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["", "{pk}/", "{pk}/status/", "{pk}/0-start-small.webp", "sample.zip"])
def test_nothing_is_shown_to_strangers(client: Client, dataset: Dataset, path: str) -> None:
    response = client.get("/datasets/" + path.format(pk=dataset.pk))
    assert response.headers["Location"].startswith("/login/")


def test_the_sample_is_a_dataset_that_passes(alice: User) -> None:
    sample = signed_in(alice).get("/datasets/sample.zip").content
    dataset = make_dataset(alice, stored=False, data=sample, state=Dataset.State.CHECKING, verdict={})
    assert tasks.check_dataset()
    dataset.refresh_from_db()
    assert (dataset.state, dataset.problems, len(dataset.pairs)) == ("ready", [], 6)


def test_the_sample_is_put_into_the_library_once(alice: User, bob: User) -> None:
    client = signed_in(alice)
    first = client.post("/datasets/sample/").headers["Location"]
    assert tasks.check_dataset()
    assert client.post("/datasets/sample/").headers["Location"] == first
    dataset = Dataset.objects.get()
    assert first == f"/jobs/new/?dataset={dataset.pk}"
    assert (dataset.owner, dataset.state, len(dataset.pairs)) == (alice, "ready", 6)
    assert signed_in(bob).post("/datasets/sample/").headers["Location"] != first
    client.post(f"/datasets/{dataset.pk}/delete/")
    assert client.post("/datasets/sample/").headers["Location"] != first


def test_the_sample_is_put_there_once_by_two_clicks(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one comes in while the first one writes its file."""
    write = files.draft

    @contextmanager
    def meanwhile(size: int) -> Iterator[Path]:
        monkeypatch.setattr(files, "draft", write)
        with write(size) as draft:
            services.add_sample(owner=alice)
            yield draft

    monkeypatch.setattr(files, "draft", meanwhile)
    dataset = services.add_sample(owner=alice)
    assert list(Dataset.objects.all()) == [dataset]


def test_a_long_name_of_a_dataset_is_suggested_as_far_as_a_job_takes_it(alice: User) -> None:
    dataset = make_dataset(alice, name="n" * 79 + " and more")
    client = signed_in(alice)
    page = client.get(f"/jobs/new/?dataset={dataset.pk}").content.decode()
    assert re.findall(r'<input[^>]* name="name" value="(.*?)"', page) == ["n" * 79]
