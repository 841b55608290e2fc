"""Runs by a web process on a socket, which waits for the worker: with the vendor's SDK, unchanged.

The worker's steps are taken by hand, in this process.
"""

from __future__ import annotations

import html
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from segmind import SegmindClient
from segmind.exceptions import SegmindError
from segmind.files import Files

from finetune_portal.accounts.models import User
from finetune_portal.connections import capabilities
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job
from finetune_portal.playground.models import Generation
from finetune_portal.providers.http import paid_run
from tests.cookies import session_cookie
from tests.fal.account import trained
from tests.fal.server import FakeFal
from tests.gateway.api_client import call, token_of
from tests.gateway.api_client import error_of as error_text
from tests.gateway.test_runs import body, data_uri
from tests.people import person
from tests.playground.conftest import image, ready, run_task
from tests.provider import PICTURE, ScriptedProvider, breaks, says
from tests.waiting import until
from tests.web_server import WebServer, session_of
from tests.worker.driving import point_at


@pytest.fixture
def provider(web: WebServer, settings: Any) -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        point_at(settings, running)
        yield running


@pytest.fixture
def maker(web: WebServer) -> User:
    return person("alice", "maker")


@pytest.fixture
def job(maker: User, provider: ScriptedProvider) -> Job:
    return ready(maker)


@pytest.fixture
def client(web: WebServer, maker: User, monkeypatch: pytest.MonkeyPatch) -> Iterator[SegmindClient]:
    monkeypatch.setattr(Files, "STORAGE_BASE_URL", web.url)  # the SDK's own constant
    made = SegmindClient(api_key=token_of(maker, "run"), base_url=f"{web.url}/v1")
    yield made
    made._client.close()  # the SDK has no close of its own


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(48) as threads:
        yield threads


def worked(*calls: Future[Any]) -> list[Any]:
    """The answers of calls, while the worker takes its steps."""

    def step() -> bool:
        run_task()
        return all(call.done() for call in calls)

    until(step)
    return [call.result() for call in calls]


def large_picture() -> bytes:
    """Of some megabytes, as noise has no pattern to compress."""
    file = io.BytesIO()
    Image.frombytes("RGB", (1000, 1000), os.urandom(3_000_000)).save(file, "PNG")
    return file.getvalue()


def test_the_sdk_uploads_and_runs(
    client: SegmindClient, job: Job, provider: ScriptedProvider, pool: ThreadPoolExecutor, tmp_path: Path
) -> None:
    (tmp_path / "day.png").write_bytes(large_picture())
    (url,) = client.files.upload(tmp_path / "day.png")["file_urls"]
    provider.script("run", says(200, PICTURE, x_cost="0.04"))
    fields = {"prompt": "turn day into night", "input_image": url, "seed": 7}
    (answer,) = worked(pool.submit(client.run_sync, job.slug, **fields))
    assert (answer.status_code, answer.content) == (200, PICTURE)
    assert answer.headers["content-type"] == "image/png"
    assert (answer.headers["x-cost"], answer.headers["x-seed-value"]) == ("0.04", "7")
    assert provider.key not in f"{answer.headers}"
    (result,) = worked(pool.submit(client.run, job.slug, **fields))
    assert result["status"] == "COMPLETED"
    assert requests.get(result["output"], timeout=30).content == PICTURE
    assert len(provider.runs) == 2
    with pytest.raises(SegmindError, match="lora_strength"):
        client.run_sync(job.slug, **fields, lora_strength=11)


def test_the_snippet_of_the_job_page_runs_as_it_stands(
    web: WebServer,
    maker: User,
    job: Job,
    provider: ScriptedProvider,
    pool: ThreadPoolExecutor,
    tmp_path: Path,
) -> None:
    """It knows the portal's address and a personal token, and no key of the account."""
    (tmp_path / "image.jpg").write_bytes(image("JPEG"))
    token = token_of(maker, "run")
    text = snippets_on_page(web, maker, job)["Segmind’s Python SDK"]
    run = pool.submit(
        subprocess.run,
        [sys.executable, "-c", text],
        cwd=tmp_path,
        env={"TOKEN": token},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    (done,) = worked(run)
    assert done.returncode == 0, done.stderr
    assert requests.get(done.stdout.strip(), timeout=30).content == PICTURE
    assert len(provider.runs) == 1
    assert provider.key not in text


def snippets_on_page(web: WebServer, user: User, job: Job) -> dict[str, str]:
    """The snippets of the job's page by their names."""
    cookies = {session_cookie(web.url): session_of(user)}
    page = requests.get(f"{web.url}/jobs/{job.pk}/", cookies=cookies, timeout=30).text
    pieces = re.findall(
        r"<summary>([^<]+)</summary>\s*<div class=\"snippet\"><pre[^>]*><code>(.*?)</code>", page, re.DOTALL
    )
    return {html.unescape(name): html.unescape(text) for name, text in pieces}


def test_the_sdk_runs_a_model_at_fal(
    client: SegmindClient,
    maker: User,
    web: WebServer,
    fal: FakeFal,
    pool: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paid_run, "FIRST_PAUSE", 0.01)
    fal.steps = ("IN_QUEUE", "COMPLETED")
    at_fal = connections.add(name="fal", key=fal.key, actor=maker, provider="fal")
    until(lambda: capabilities.refresh_next() and "generate" in fresh(at_fal).capabilities)
    model = trained(maker, at_fal, fal)
    fields = {"prompt": "make it rain", "input_image": data_uri()}
    (answer,) = worked(pool.submit(client.run_sync, model.run_slug, **fields))
    assert answer.content == PICTURE
    assert len(fal.sent("submit")) == 1
    assert fal.key not in f"{answer.headers}"


def fresh(connection: Connection) -> Connection:
    return Connection.objects.get(pk=connection.pk)


def test_a_lost_answer_ends_the_call_and_is_paid_once(
    client: SegmindClient, job: Job, provider: ScriptedProvider, pool: ThreadPoolExecutor
) -> None:
    provider.script("run", breaks(taken=True))
    (error,) = worked(pool.submit(lambda: error_of(client, job)))
    assert (error.status, "may have been charged" in error.detail) == (422, True)
    run_task()
    assert len(provider.runs) == 1


def error_of(client: SegmindClient, job: Job) -> SegmindError:
    with pytest.raises(SegmindError) as caught:
        client.run_sync(job.slug, **body())
    return caught.value


@pytest.mark.long
def test_calls_that_wait_hold_no_thread(
    web: WebServer, job: Job, provider: ScriptedProvider, pool: ThreadPoolExecutor
) -> None:
    """More of them than the web process has threads for pages."""
    tokens = [token_of(person(f"maker{number}", "maker"), "run") for number in range(5)]

    def post(path: str, fields: dict[str, Any], token: str) -> requests.Response:
        return requests.post(f"{web.url}{path}", json=fields, headers={"x-api-key": token}, timeout=120)

    # Each their own: a picture that no run has used is its owner's alone.
    assets = {
        token: post("/upload-asset", {"data_urls": [data_uri()]}, token).json()["file_urls"][0]
        for token in tokens
    }

    def run(token: str) -> requests.Response:
        return post(f"/v1/{job.slug}", {"prompt": "night", "input_image": assets[token]}, token)

    calls = [pool.submit(run, token) for token in tokens for _ in range(8)]
    until(lambda: Generation.objects.filter(state="queued").count() == 40)
    assert not any(call.done() for call in calls)
    assert requests.get(f"{web.url}/login/", timeout=60).ok
    Generation.objects.filter(pk__gt=Generation.objects.earliest("pk").pk).delete()
    answers = worked(*calls)
    assert sorted(answer.status_code for answer in answers) == [200] + [404] * 39
    assert len(provider.runs) == 1


def test_a_client_that_leaves_finds_its_run_again(
    web: WebServer, maker: User, job: Job, provider: ScriptedProvider, pool: ThreadPoolExecutor
) -> None:
    headers = {"x-api-key": token_of(maker, "run"), "Idempotency-Key": "a"}
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{web.url}/v1/{job.slug}", json=body(), headers=headers, timeout=(5, 2))
    until(Generation.objects.exists)
    again = pool.submit(
        lambda: requests.post(f"{web.url}/v1/{job.slug}", json=body(), headers=headers, timeout=60)
    )
    (answer,) = worked(again)
    assert answer.content == PICTURE
    assert len(provider.runs) == 1


def test_calls_with_one_key_at_the_same_moment_are_one_run(
    web: WebServer, maker: User, job: Job, provider: ScriptedProvider, pool: ThreadPoolExecutor
) -> None:
    headers = {"x-api-key": token_of(maker, "run"), "Idempotency-Key": "a"}

    def run() -> requests.Response:
        return requests.post(f"{web.url}/v1/{job.slug}", json=body(), headers=headers, timeout=120)

    answers = worked(*(pool.submit(run) for _ in range(6)))
    assert [answer.content for answer in answers] == [PICTURE] * 6
    assert Generation.objects.count() == len(provider.runs) == 1


def test_a_picture_at_an_address_elsewhere_is_downloaded_once(
    maker: User, job: Job, provider: ScriptedProvider, settings: Any
) -> None:
    """In this process, as only here the network of the test is allowed."""
    settings.OUTBOUND_NETWORKS = [ip_network("127.0.0.0/8")]
    provider.stored["/pictures/day.png"] = image()
    token, address = token_of(maker, "run"), f"{provider.url}/pictures/day.png"

    def run(**changes: str) -> Any:
        fields = body(input_image=address, **changes)
        return call(token, "POST", f"/v1/{job.slug}", fields, **{"Idempotency-Key": "a"})

    begun = run()
    assert begun.status_code == 202, begun.content
    assert Generation.objects.get().input.name == "day.png"
    del provider.stored["/pictures/day.png"]
    assert run().json() == begun.json(), "it is the same run, though the address leads nowhere"
    answer = call(token, "POST", f"/v1/{job.slug}", body(input_image=address))
    assert (answer.status_code, error_text(answer)) == (
        422,
        "input_image: The server of this address answers 404.",
    )


def test_a_stranger_sends_no_large_picture(web: WebServer, maker: User) -> None:
    fields = {"data_urls": [data_uri(large_picture())]}
    for token, status in (
        ("ftp_nobody", 413),
        (token_of(maker, "train"), 403),
        (token_of(maker, "run"), 200),
    ):
        answer = requests.post(
            f"{web.url}/upload-asset", json=fields, headers={"x-api-key": token}, timeout=60
        )
        assert answer.status_code == status, answer.text
    too_large = {"data_urls": ["x" * 21 * 1024**2]}
    answer = requests.post(
        f"{web.url}/upload-asset", json=too_large, headers={"x-api-key": token_of(maker, "run")}, timeout=60
    )
    assert answer.status_code == 413
