"""`POST /extra/delete`: an ended job goes with its files, a stored dataset by its address."""

from __future__ import annotations

from pathlib import Path

import requests

from tests.conftest import StartEngine
from tests.engine.calling import TIMEOUT, call, download_url, reached, started, upload
from tests.running import RunningEngine


def delete(engine: RunningEngine, **fields: str) -> requests.Response:
    return call(engine, "POST", "/extra/delete", json=fields)


def files(engine: RunningEngine) -> list[Path]:
    return [path for path in (engine.data_dir / "engine" / "storage").rglob("*") if path.is_file()]


def test_an_ended_job_goes_with_its_files(engines: StartEngine) -> None:
    engine = engines()
    address = upload(engine)
    before = files(engine)
    job = reached(engine, started(engine, data_source_path=address), "AVAILABLE")
    link = download_url(engine, job["cloud_storage_url"])
    assert delete(engine, request_id=job["finetune_id"]).json()["deleted"] is True
    assert files(engine) == before, "its dataset stays"
    assert requests.get(link, timeout=TIMEOUT).status_code == 404
    assert call(engine, "GET", "/finetune/request/list").json() == []
    assert delete(engine, request_id=job["finetune_id"]).status_code == 404
    assert delete(engine, file=address).ok
    assert files(engine) == []
    assert delete(engine, file=address).ok, "it may be repeated"


def test_what_a_job_still_needs_stays(engines: StartEngine) -> None:
    engine = engines(ENGINE_TIME_SCALE="1000")
    address = upload(engine)
    job = started(engine, data_source_path=address)
    for answer in (delete(engine, request_id=job), delete(engine, file=address)):
        assert answer.status_code == 409
        assert "has not ended" in answer.text
    assert files(engine)


def test_only_what_it_stores_is_deleted(engine: RunningEngine) -> None:
    job = reached(engine, started(engine), "AVAILABLE")
    for address in ("", "https://example.com/a.zip", f"{engine.url}/storage/../engine.sqlite3"):
        assert delete(engine, file=address).status_code in (404, 422), address
    assert delete(engine, file=job["cloud_storage_url"]).status_code == 404, "weights go with their job"
    assert delete(engine).status_code == 422
