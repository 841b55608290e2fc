"""nginx, Caddy and Apache with the text of docs/operations.md, before one portal that is below a path."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pytest_django.plugin import DjangoDbBlocker

from finetune_portal.gateway.services import new_token
from tests.cookies import session_cookie
from tests.people import person
from tests.ports import free_port
from tests.programs import needed
from tests.running import ROOT
from tests.waiting import until
from tests.web_server import WebServer, database_of, running_web, session_of

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
HOST = "portal.example.com"
PORTAL_URL = f"https://{HOST}/portal"
PROGRAMS = {"nginx": "server {", "caddy": HOST, "apache2": "<VirtualHost"}
# What stands around the text of the documentation, for a process of a test.
NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/log; worker_processes 1;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;
    fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    {text}
}}
"""
CADDY = """
{{
    admin off
    local_certs
    skip_install_trust
    auto_https disable_redirects
    storage file_system {folder}
}}
{text}
"""
APACHE = """
ServerRoot {folder}
PidFile {folder}/pid
ErrorLog {folder}/log
Listen {port}
{modules}
{text}
"""
MODULES = ("mpm_event", "authz_core", "socache_shmcb", "ssl", "headers", "proxy", "proxy_http")


@dataclass
class Proxy:
    """A running proxy, and how a browser that takes it for portal.example.com asks it."""

    port: int

    @property
    def pool(self) -> urllib3.HTTPSConnectionPool:
        return urllib3.HTTPSConnectionPool(
            "127.0.0.1", self.port, cert_reqs="CERT_NONE", server_hostname=HOST, assert_hostname=False
        )

    def ask(self, method: str, path: str, **options: Any) -> Any:
        headers = {"Host": f"{HOST}:{self.port}", **options.pop("headers", {})}
        return self.pool.request(
            method, path, headers=headers, redirect=False, retries=False, timeout=60, **options
        )


def blocks() -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", (ROOT / "docs/operations.md").read_text(), re.M | re.S)


def text_of(program: str, *, is_below_path: bool) -> str:
    """The configuration as it is written; `is_below_path` makes the change that the page says."""
    text = next(block for block in blocks() if block.startswith(PROGRAMS[program]))
    if is_below_path:
        page = (ROOT / "docs/operations.md").read_text()
        below = re.findall(r"`([^`]+)`", page[page.index("**Below a path.**") :].replace("\n", " "))
        line = {
            "nginx": r"location /",
            "caddy": r"reverse_proxy 127.0.0.1:8000",
            "apache2": r"ProxyPass / .*on",
        }[program]
        begin = line.split()[0]
        change = next(each for each in below if each.startswith(begin) and "/portal/" in each)
        text = re.sub(line, change, text)
    return text


def start(program: str, text: str, folder: Path, web: WebServer) -> tuple[Proxy, subprocess.Popen[bytes]]:
    path, proxy = needed(program), Proxy(free_port())
    for old, new in (
        ("127.0.0.1:8000", f"127.0.0.1:{web.port}"),
        ("/etc/ssl", str(folder)),
        ("443", str(proxy.port)),
        (f"{HOST} {{", f"{HOST}:{proxy.port} {{"),
    ):
        text = text.replace(old, new)
    modules = "\n".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in MODULES
    )
    frame = {"nginx": NGINX, "caddy": CADDY, "apache2": APACHE}[program]
    config = folder / "config"
    config.write_text(frame.format(folder=folder, port=proxy.port, modules=modules, text=text))
    command = {
        "nginx": [path, "-c", config, "-e", folder / "log"],
        "caddy": [path, "run", "--config", config, "--adapter", "caddyfile"],
        "apache2": [path, "-f", config, "-D", "FOREGROUND"],
    }[program]
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "output").open("wb") as output:
        return proxy, subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)


def make_certificate(folder: Path) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string(f"CN={HOST}")
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "portal.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "portal.key").write_bytes(secret)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    variables = {"WEB_WORKERS": "1", "PORTAL_URL": PORTAL_URL}
    with running_web(tmp_path_factory.mktemp("proxies") / "data", **variables) as running:
        yield running


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((program, below), id=f"{program}{'-below-a-path' if below else ''}")
        for program in PROGRAMS
        for below in (False, True)
    ],
)
def proxy(
    request: pytest.FixtureRequest, server: WebServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    program, below = request.param
    folder = tmp_path_factory.mktemp(program)
    folder.chmod(0o755)
    make_certificate(folder)
    running, process = start(program, text_of(program, is_below_path=below), folder, server)

    def is_ready() -> bool:
        assert process.poll() is None, (folder / "output").read_text()
        try:
            return bool(running.ask("GET", "/portal/healthz").status == 200)
        except urllib3.exceptions.HTTPError:
            return False

    try:
        until(is_ready, why=f"{program} answers")
        yield running
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def web(server: WebServer, settings: Any, django_db_blocker: DjangoDbBlocker) -> Iterator[WebServer]:
    with database_of(server, settings, django_db_blocker):
        yield server


def test_a_page_and_its_files_come_through(proxy: Proxy) -> None:
    page = proxy.ask("GET", "/portal/login/")
    assert page.status == 200
    assert "max-age" in page.headers["Strict-Transport-Security"], "the portal knows that it is https"
    name = re.findall(r'href="(/portal/static/[^"]+\.css)"', page.data.decode())[0]
    assert proxy.ask("GET", name).status == 200


def test_the_portal_learns_host_port_and_scheme(proxy: Proxy, web: WebServer) -> None:
    """From another page of the same host and port: refused as foreign where the proxy drops the port."""
    cookie = f"__Secure-{session_cookie(PORTAL_URL)}={session_of(person('alice', 'maker'))}"
    headers = {
        "Cookie": cookie,
        "Origin": f"https://{HOST}:{proxy.port}",
        "Content-Type": "application/offset+octet-stream",
        **{"Tus-Resumable": "1.0.0", "Upload-Offset": "0"},
    }
    assert proxy.ask("PATCH", "/portal/uploads/no-such/", headers=headers).status == 404


def test_a_large_dataset_of_a_script_arrives(proxy: Proxy, web: WebServer) -> None:
    """Over 16 MiB in one request, to the presigned address that the portal names."""
    token = new_token(owner=person("alice", "maker"), name="t", rights=["train"], days=1)[1]
    headers = {"x-api-key": token, "Content-Type": "application/json"}
    path = "/portal/finetune/request/upload/pre-signed-url"
    answer = proxy.ask("GET", path, headers=headers, body=json.dumps({"name": "night.zip"}))
    url = urlsplit(json.loads(answer.data)["presigned_url"])
    assert url.netloc == HOST
    content = b"PK\x03\x04" + os.urandom(20 * 1024 * 1024)
    assert proxy.ask("PUT", f"{url.path}?{url.query}", body=content).status == 200


def test_the_live_stream_is_not_held_back(proxy: Proxy, web: WebServer) -> None:
    cookie = f"__Secure-{session_cookie(PORTAL_URL)}={session_of(person('alice', 'maker'))}"
    stream = proxy.ask("GET", "/portal/live/", headers={"Cookie": cookie}, preload_content=False)
    assert stream.status == 200
    assert stream.read1(16).startswith(b"event: hello")
    stream.close()
