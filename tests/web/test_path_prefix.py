"""A portal whose PORTAL_URL has a path, as behind a proxy that serves other things, too."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from pytest_django.plugin import DjangoDbBlocker

from finetune_portal.accounts.models import User
from finetune_portal.datasets import sample
from finetune_portal.gateway.services import new_token
from tests.cookies import csrf_cookie, session_cookie
from tests.people import PASSWORD, make_job, person
from tests.ports import free_port
from tests.web_server import WebServer, database_of, session_of

PREFIX = "/tools/portal"
TUS = {"Tus-Resumable": "1.0.0"}
LINK = re.compile(r'(?:href|src|action|hx-get|hx-post|data-[a-z-]*url)="(/[^"]*)"')


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    port = free_port()
    data = tmp_path_factory.mktemp("prefix") / "data"
    url = f"http://127.0.0.1:{port}{PREFIX}"
    server = WebServer(data, port=port, environment={"WEB_WORKERS": "1", "PORTAL_URL": url}).prepare()
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def web(server: WebServer, settings: Any, django_db_blocker: DjangoDbBlocker) -> Iterator[WebServer]:
    with database_of(server, settings, django_db_blocker):
        yield server


@pytest.fixture
def url(web: WebServer) -> str:
    return web.url + PREFIX


@pytest.fixture
def maker(web: WebServer, url: str) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.cookies[session_cookie(url)] = session_of(person("alice", "maker"))
        session.cookies[csrf_cookie(url)] = "c" * 32
        session.headers.update({"X-CSRFToken": "c" * 32, "Referer": url})
        yield session


def test_every_link_of_a_page_leads_below_the_path(url: str, maker: requests.Session) -> None:
    make_job(User.objects.get(email="alice@example.com"), "ready")
    for path in ("/", "/jobs/new/", "/datasets/", "/profile/", "/api/"):
        page = maker.get(url + path, timeout=30)
        assert page.status_code == 200
        links = set(LINK.findall(page.text))
        assert links
        assert [link for link in links if not link.startswith(f"{PREFIX}/")] == [], path
        assert f"report-uri {PREFIX}/csp-report/" in page.headers["Content-Security-Policy"]


def test_its_files_are_served(url: str, web: WebServer) -> None:
    page = requests.get(f"{url}/login/", timeout=30).text
    files = re.findall(rf'(?:href|src)="({PREFIX}/static/[^"]+)"', page)
    assert any(name.endswith(".css") for name in files)
    for name in files:
        answer = requests.get(web.url + name, timeout=30)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]


def test_a_sign_in_leads_back_and_its_cookies_stay_below_the_path(
    url: str, web: WebServer, settings: Any
) -> None:
    settings.PASSWORD_HASHERS = ["finetune_portal.accounts.passwords.Argon2idPasswordHasher"]  # the server's
    person("alice", "maker")
    with requests.Session() as session:
        form = session.get(f"{url}/datasets/", timeout=30)
        assert form.url == f"{url}/login/?next={PREFIX}/datasets/"
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)
        assert token
        fields = {"username": "alice@example.com", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        page = session.post(form.url, fields, timeout=30)
        assert (page.status_code, page.url) == (200, f"{url}/datasets/")
        assert {cookie.path for cookie in session.cookies} == {f"{PREFIX}/"}


@pytest.mark.parametrize("prefix", [PREFIX, ""])
def test_a_proxy_may_keep_or_strip_the_path(web: WebServer, prefix: str) -> None:
    answer = requests.get(f"{web.url}{prefix}/datasets/", timeout=30, allow_redirects=False)
    assert answer.headers["Location"] == f"{PREFIX}/login/?next={PREFIX}/datasets/"
    assert requests.get(f"{web.url}{prefix}/healthz", timeout=30).status_code == 200


def test_the_path_itself_is_the_first_page(url: str, maker: requests.Session) -> None:
    assert maker.get(url, timeout=30).status_code == 200


def test_an_upload_goes_to_the_address_that_it_is_given(
    url: str, web: WebServer, maker: requests.Session
) -> None:
    content = sample.make()
    name = base64.b64encode(b"night.zip").decode()
    headers = {**TUS, "Upload-Length": str(len(content)), "Upload-Metadata": f"filename {name}"}
    begun = maker.post(f"{url}/uploads/", headers=headers, timeout=30)
    assert begun.headers["Location"].startswith((f"{url}/uploads/", f"{PREFIX}/uploads/"))
    chunk = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    address = requests.compat.urljoin(url, begun.headers["Location"])
    assert maker.patch(address, content, headers=chunk, timeout=30).status_code == 204


def test_the_gateway_names_addresses_below_the_path(url: str, web: WebServer) -> None:
    token = new_token(owner=person("alice", "maker"), name="t", rights=["train"], days=1)[1]
    call = {"headers": {"x-api-key": token}, "timeout": 30}
    path = "/finetune/request/upload/pre-signed-url"
    urls = requests.get(url + path, json={"name": "night.zip"}, **call).json()
    assert urls["presigned_url"].startswith(f"{url}/finetune/uploads/")
    assert requests.put(urls["presigned_url"], sample.make(), timeout=30).status_code == 200
    fields = {
        "name": "night",
        "data_source_path": urls["s3_url"],
        "instance_prompt": "turn day into night",
        "machine_type": "NVIDIA_H100",
        **{"base_model": "FLUX", "train_type": "LORA", "theme": "KONTEXT"},
        "advance_parameters": {"steps": 20, "learning_rate": 0.0004},
    }
    answer = requests.post(f"{url}/finetune/request/submit", json=fields, **call)
    assert answer.status_code == 200, answer.text
    assert requests.get(f"{url}/api/openapi.json", timeout=30).json()["servers"] == [{"url": url}]


def test_rows_that_are_pushed_link_below_the_path(url: str, web: WebServer, maker: requests.Session) -> None:
    alice = User.objects.get(email="alice@example.com")
    job = make_job(alice, "queued")
    with maker.get(f"{url}/live/", stream=True, timeout=30) as stream:
        assert stream.status_code == 200
        lines = stream.iter_lines(chunk_size=1)
        assert next(lines) == b"event: hello"
        make_job(alice, "queued", name=f"another {uuid.uuid4().hex}")
        line = next(line for line in lines if b"/jobs/" in line)
        assert f"{PREFIX}/jobs/".encode() in line
        assert b'\\"/jobs/' not in line
    assert job.pk


@pytest.mark.parametrize("path", ["/a b", "/?x=1", "/é", "//double", "/#part"])
def test_a_path_that_cannot_be_served_stops_the_start(path: str, settings: Any) -> None:
    settings.PORTAL_URL = f"https://portal.example.com{path}"
    with pytest.raises(SystemCheckError, match="portal.E009"):
        call_command("check")
