"""A disk without room above the floor: uploads are refused with a sentence, and all else works (U8)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pytest_django.plugin import DjangoDbBlocker

from finetune_portal.datasets.models import Dataset
from tests.cookies import csrf_cookie, session_cookie
from tests.datasets.tus import begin
from tests.gateway.api_client import PRESIGNED, token_of
from tests.people import form_data, make_dataset, person
from tests.web_server import WebServer, database_of, running_web, session_of

NO_ROOM = "has room for 0 bytes"


@pytest.fixture
def full(tmp_path: Path, settings: Any, django_db_blocker: DjangoDbBlocker) -> Iterator[WebServer]:
    running = running_web(tmp_path / "data", WEB_WORKERS="1", DISK_FLOOR_BYTES=str(2**60))
    with running as web, database_of(web, settings, django_db_blocker):
        yield web


def test_uploads_are_refused_with_a_sentence_and_leave_nothing(full: WebServer) -> None:
    alice = person("alice", "maker")
    dataset = make_dataset(alice)
    token = token_of(alice, "train")
    with requests.Session() as maker:
        maker.cookies[session_cookie(full.url)] = session_of(alice)
        maker.cookies[csrf_cookie(full.url)] = "c" * 32
        maker.headers.update({"X-CSRFToken": "c" * 32, "Referer": full.url})
        page = f"{full.url}/jobs/new/"
        begun = begin(full.url, maker, 1000)
        large = maker.post(page, form_data(), files={"file": ("a.zip", b"PK" * 100_000)}, timeout=30)
        small = maker.post(page, form_data(), files={"file": ("a.zip", b"PK" * 100)}, timeout=30)
        for refused in (begun, large, small):
            assert (refused.status_code, NO_ROOM in refused.text) == (507, True), refused.text
        assert "The disk is full" in small.text, "as a page"

        named = {"name": "Renamed"}
        renamed = maker.post(f"{full.url}/datasets/{dataset.pk}/rename/", named, timeout=30)
        assert renamed.status_code == 200, "what brings no bytes works"

    asked = requests.get(
        full.url + PRESIGNED, json={"name": "a.zip"}, headers={"x-api-key": token}, timeout=30
    )
    put = requests.put(asked.json()["presigned_url"], data=b"PK12", timeout=30)
    assert (put.status_code, NO_ROOM in put.text) == (507, True)
    assert [row.name for row in Dataset.objects.all()] == ["Renamed"]
    assert [path.name for path in full.data.rglob("*.part")] == []
    assert "Traceback" not in full.log.read_text()
