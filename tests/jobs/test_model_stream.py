"""The model of an engine comes through the portal, whose address is the one that a browser reaches."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.sync import model_stream
from finetune_portal.registry import model_links
from tests.engine.calling import reached, started
from tests.gateway.api_client import DOWNLOAD, token_of
from tests.people import make_job, signed_in
from tests.running import RunningEngine
from tests.worker.driving import content_of, point_at, point_nowhere

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def trained(engine: RunningEngine) -> dict[str, Any]:
    return reached(engine, started(engine, "night in Köln"), "AVAILABLE")


@pytest.fixture
def job(alice: User, engine: RunningEngine, trained: dict[str, Any], settings: Any) -> Job:
    point_at(settings, engine)
    return make_job(alice, "ready", request_id=trained["id"], cloud_storage_url=trained["cloud_storage_url"])


@pytest.fixture
def link(alice: User, job: Job) -> str:
    return str(signed_in(alice).get(f"/jobs/{job.pk}/download/").headers["Location"])


@pytest.fixture
def whole(link: str) -> bytes:
    return content_of(Client().get(link))


def test_it_is_the_file_by_the_name_that_the_page_says(link: str, whole: bytes, job: Job) -> None:
    answer = Client().get(link)
    assert answer.headers["Content-Length"] == str(len(whole))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{job.model_file_name}"'
    head = Client().head(link)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(whole))


def test_slices_make_the_same_file(link: str, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A size that does not divide the file, and links that are renewed for each slice."""
    size = len(whole) // 7 + 1
    monkeypatch.setattr(model_stream, "SLICE", size)
    monkeypatch.setattr(model_stream, "LINK_SECONDS", 0.0)
    answer = Client().get(link)
    assert content_of(answer) == whole
    first, last = size - 10, 3 * size + 10
    part = Client().get(link, headers={"Range": f"bytes={first}-{last}"})
    assert content_of(part) == whole[first : last + 1]


@pytest.mark.parametrize(
    ("wanted", "first", "last"), [("0-9", 0, 9), ("10-", 10, -1), ("-7", -7, -1), ("5-999999999", 5, -1)]
)
def test_a_range_is_answered_with_206(link: str, whole: bytes, wanted: str, first: int, last: int) -> None:
    """Case 65"""
    answer = Client().get(link, headers={"Range": f"bytes={wanted}"})
    begin, end = first % len(whole), last % len(whole)
    assert answer.status_code == 206
    assert content_of(answer) == whole[begin : end + 1]
    assert answer.headers["Content-Range"] == f"bytes {begin}-{end}/{len(whole)}"
    assert answer.headers["Content-Length"] == str(end + 1 - begin)
    assert "filename=" in answer.headers["Content-Disposition"]


@pytest.mark.parametrize("wanted", ["bytes=5-2", "bytes=-", "bytes=0-1,5-6", "lines=1-2", "bytes=x-y"])
def test_what_is_no_single_range_gets_the_whole(link: str, whole: bytes, wanted: str) -> None:
    answer = Client().get(link, headers={"Range": wanted})
    assert (answer.status_code, content_of(answer)) == (200, whole)


@pytest.mark.parametrize("wanted", ["bytes={size}-", "bytes=-0", "bytes=99999999999999999-"])
def test_a_range_beyond_the_end_is_refused(link: str, whole: bytes, wanted: str) -> None:
    answer = Client().get(link, headers={"Range": wanted.format(size=len(whole))})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(whole)}"


def test_a_download_goes_on_only_in_the_same_file(link: str, whole: bytes) -> None:
    first = Client().get(link)
    for same in (first.headers["ETag"], first.headers["Last-Modified"]):
        assert Client().get(link, headers={"Range": "bytes=4-7", "If-Range": same}).status_code == 206
    answer = Client().get(link, headers={"Range": "bytes=4-7", "If-Range": '"another"'})
    assert (answer.status_code, content_of(answer)) == (200, whole)


@pytest.mark.parametrize("signature", ["", "wrong", "of another job", "inactive", "too old"])
def test_a_link_that_is_not_good_any_more_gives_nothing(
    alice: User, job: Job, signature: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = model_links.link_for(job, alice)
    if signature in ("", "wrong"):
        link = f"/jobs/{job.pk}/file/?signature={signature}"
    elif signature == "of another job":
        other = model_links.link_for(make_job(alice, "ready"), alice)
        link = re.sub(r"/jobs/[0-9]+/", f"/jobs/{job.pk}/", other)
    elif signature == "inactive":
        User.objects.filter(pk=alice.pk).update(is_active=False)
    else:
        monkeypatch.setattr(model_links, "MAX_AGE", -1)
    answer = signed_in(alice).get(link) if signature == "wrong" else Client().get(link)
    assert answer.status_code == 403
    assert "wrong or too old" in answer.content.decode()


def test_an_engine_that_is_away_is_said(link: str, settings: Any) -> None:
    point_nowhere(settings)
    answer = Client().get(link)
    assert answer.status_code == 502
    assert "No download. The provider cannot be reached." in answer.content.decode()


def test_scripts_and_lists_get_the_portals_address(
    alice: User, job: Job, whole: bytes, settings: Any
) -> None:
    settings.PORTAL_URL = "https://portal.example.com"
    headers = {"x-api-key": token_of(alice, "download")}
    bare = Client().get(DOWNLOAD, {"cloud_storage_url": job.cloud_storage_url}, headers=headers)
    listed = signed_in(alice).post("/jobs/links/", {"job": [job.pk]})
    for text in (bare.content.decode(), listed.content.decode()):
        assert "127.0.0.1" not in text
        url = re.findall(r"https?://\S+", text)[0]
        assert content_of(Client().get(f"/{url.split('/', 3)[3]}")) == whole
