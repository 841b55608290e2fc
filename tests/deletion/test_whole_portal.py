"""A client's dataset, jobs and models are deleted in a real portal, and nothing names them afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests import databases
from tests.e2e.conftest import Portal
from tests.engine.calling import pairs, zipped
from tests.operations.test_up import TIMEOUT, Maker
from tests.people import form_data
from tests.waiting import until

pytestmark = pytest.mark.long

CLIENT = "Zebrafink"
CAPTION = f"what {CLIENT} ordered"


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[Portal]:
    running = Portal(tmp_path / "data")
    try:
        running.start()
        yield running
    finally:
        running.stop()


def post(maker: Maker, page: str, path: str, **data: object) -> str:
    """Post a form of a page, and return what the portal then shows."""
    html = maker.session.get(maker.portal.url + page, timeout=TIMEOUT).text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', html)
    assert token, html
    fields = {**data, "csrfmiddlewaretoken": token[1]}
    answer = maker.session.post(maker.portal.url + path, fields, timeout=TIMEOUT)
    assert answer.ok, answer.text
    return answer.text


def holding(portal: Portal) -> list[str]:
    """Where something of the client is: DATA_DIR with the database, its log and the engine's, the output."""
    places = ["the output"] if CLIENT in portal.log_text() else []
    for path in sorted(portal.data.rglob("*")):
        with suppress(FileNotFoundError):
            if path.is_file() and CLIENT.encode() in path.read_bytes():
                places.append(str(path.relative_to(portal.data)))
    return places


def test_a_deleted_client_is_found_nowhere(portal: Portal, tmp_path: Path) -> None:
    maker = Maker(portal).signs_in()
    data = zipped({f"{CLIENT}/{name}": each for name, each in pairs(caption=CAPTION.encode()).items()})
    form = form_data(name=f"{CLIENT} hats", instance_prompt=f"as {CLIENT} likes it")
    first = maker.post("/jobs/new/", form, files={"file": (f"{CLIENT}.zip", data)}).url
    job = first.removeprefix(portal.url)
    maker.waits_for(job, "ready")
    dataset = re.search(r"/datasets/\d+/", maker.session.get(first, timeout=TIMEOUT).text)
    assert dataset
    post(maker, job, f"{job}describe/", name=f"{CLIENT} caps", note_text=f"for {CLIENT}", tags=CLIENT)
    post(maker, dataset[0], f"{dataset[0]}rename/", name=f"{CLIENT} evenings")
    stored = "In the portal’s own storage"
    until(lambda: stored in maker.session.get(first, timeout=TIMEOUT).text, why="the model is home")
    until(lambda: len(holding(portal)) > 3, why="the client is in the database, its log and at the engine")

    text = post(maker, dataset[0], f"{dataset[0]}delete-with-jobs/")
    assert "was deleted" in text
    until(lambda: not holding(portal), why=f"nothing names the client: {holding(portal)}")
    backup = tmp_path / "backup"
    databases.back_up(portal.data, backup)
    assert CLIENT.encode() not in backup.read_bytes()
    for page in (job, dataset[0]):
        assert maker.session.get(portal.url + page, timeout=TIMEOUT).status_code == 404
    for page in ("/", "/datasets/", "/audit/", "/webhooks/"):
        assert CLIENT not in maker.session.get(portal.url + page, timeout=TIMEOUT).text
    assert "with all that was made of it" in maker.session.get(f"{portal.url}/audit/", timeout=TIMEOUT).text
    models = [path for path in (portal.data / "models").rglob("*") if path.is_file()]
    assert models == []
