"""MDN HTTP Observatory's own scorer on every address of the portal: `python -m tests.bench.observatory`.

Needs Node 20 and npm. The web process of `manage.py up` runs behind a small proxy on loopback that ends TLS
and redirects plain http, as the one in docs/operations.md does. Each address of the URLconf is asked as a
stranger, so that those behind the login are scored as what a stranger gets: the redirect and its page.
Prints grade, score and passed tests, and fails unless all are A+.

The package is installed without its scripts, because they download two lists, of the hosts that browsers
know to be https and of top-level domains. Empty ones stand in for them: no host here is on either.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import django

FOLDER = Path(tempfile.mkdtemp(prefix="bench-observatory-"))
os.environ.update(
    DJANGO_ALLOW_ASYNC_UNSAFE="1",
    DJANGO_SETTINGS_MODULE="finetune_portal.settings",
    DATA_DIR=str(FOLDER / "data"),
)
django.setup()

from django.urls import URLPattern, get_resolver  # noqa: E402 - needs the settings

from finetune_portal.accounts.models import User  # noqa: E402
from tests.ports import free_port  # noqa: E402
from tests.running import ROOT  # noqa: E402
from tests.web_server import WebServer  # noqa: E402

PACKAGE = "@mdn/mdn-http-observatory@1.4.8"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finetune-portal" / "observatory"
CERTIFICATE = ROOT / "tests/providers/segmind/localhost.pem"
PIECES = {"int": "1", "uuid": "00000000-0000-4000-8000-000000000000", "half": "start"}
BESIDE = ["/nowhere/", "/setup/no-such-link/", "/hooks/segmind/no-such-token/", "/uploads/", "/live/"]
SCORER = """
import { retrieve } from "@mdn/mdn-http-observatory/src/retriever/retriever.js";
import { ALL_TESTS } from "@mdn/mdn-http-observatory/src/constants.js";
import { getGradeForScore, getScoreModifier } from "@mdn/mdn-http-observatory/src/grader/grader.js";
import { MINIMUM_SCORE_FOR_EXTRA_CREDIT } from "@mdn/mdn-http-observatory/src/grader/charts.js";

const [httpsPort, httpPort, ...paths] = process.argv.slice(2);
for (const path of paths) {
  const asked = await retrieve("localhost", { httpsPort, httpPort, path });
  const results = ALL_TESTS.map((test) => test(asked));
  const modifiers = results.map((each) => getScoreModifier(each.result));
  const lost = modifiers.filter((each) => each < 0).reduce((sum, each) => sum + each, 100);
  const all = modifiers.reduce((sum, each) => sum + each, 100);
  const { score, grade } = getGradeForScore(lost >= MINIMUM_SCORE_FOR_EXTRA_CREDIT ? all : lost);
  const failed = results.filter((each) => !each.pass).map((each) => each.result);
  const passed = `${results.length - failed.length}/${results.length}`;
  console.log(JSON.stringify({ path, status: asked.responses.auto?.status, grade, score, passed, failed }));
}
"""


class Proxy(BaseHTTPRequestHandler):
    """Hands a request to the portal, marked as https, and its answer back."""

    protocol_version = "HTTP/1.1"
    portal = 0

    def hand_on(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        headers = dict(self.headers.items()) | {"X-Forwarded-Proto": "https", "Connection": "close"}
        connection = HTTPConnection("127.0.0.1", self.portal, timeout=20)
        connection.request(self.command, self.path, self.rfile.read(length), headers)
        answer = connection.getresponse()
        body = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        connection.close()

    do_GET = do_HEAD = do_POST = do_OPTIONS = hand_on

    def log_message(self, *_: Any) -> None:
        """The scorer prints enough."""


class Redirect(Proxy):
    """Plain http: go to https."""

    secure = 0

    def hand_on(self) -> None:
        self.send_response_only(301)
        self.send_header("Location", f"https://localhost:{self.secure}{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_POST = do_OPTIONS = hand_on


@contextmanager
def serving(port: int, handler: type[Proxy], *, tls: bool) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    yield
    server.shutdown()
    server.server_close()


def install() -> Path:
    """The scorer in a folder that later runs find again."""
    package = CACHE / "node_modules/@mdn/mdn-http-observatory"
    if not package.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        say(f"Installing {PACKAGE} into {CACHE} …")
        quiet = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(["npm", "install", *quiet, PACKAGE], cwd=CACHE, check=True)
    for name, empty in (("hsts-preload.json", "{}"), ("tld-list.json", "[]")):
        (package / "conf" / name).write_text(empty)
    script = CACHE / "score.mjs"
    script.write_text(SCORER)
    return script


def addresses() -> list[str]:
    """Every address of the URLconf, with something in place of its variable pieces."""

    def below(patterns: list[Any], before: str = "/") -> Iterator[str]:
        for each in patterns:
            route = before + str(each.pattern)
            if isinstance(each, URLPattern):
                yield re.sub(r"<(?:(\w+):)?\w+>", lambda results: PIECES.get(results[1] or "", "x"), route)
            else:
                yield from below(each.url_patterns, route)

    return sorted({*below(get_resolver().url_patterns), *BESIDE})


def scores(script: Path, https: int, http: int) -> list[dict[str, Any]]:
    command = ["node", str(script), str(https), str(http), *addresses()]
    trust = os.environ | {"NODE_EXTRA_CA_CERTS": str(CERTIFICATE)}
    ran = subprocess.run(command, cwd=CACHE, env=trust, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    if not (shutil.which("node") and shutil.which("npm")):
        say("Node and npm are needed.")
        return 2
    script = install()
    Redirect.secure, http = free_port(), free_port()
    behind = {"PORTAL_URL": f"https://localhost:{Redirect.secure}", "PORTAL_PROXIES": "127.0.0.1"}
    web = WebServer(FOLDER / "data", environment=behind).prepare()
    Proxy.portal = web.port
    try:
        User.objects.create_user("ada@example.com", "not used here", name="Ada Lovelace", role="admin")
        web.start()
        with serving(Redirect.secure, Proxy, tls=True), serving(http, Redirect, tls=False):
            results = scores(script, Redirect.secure, http)
    finally:
        web.stop()
        shutil.rmtree(FOLDER, ignore_errors=True)
    for each in results:
        say("{grade:<3} {score:>4}  {passed}  {status}  {path}  ".format(**each) + " ".join(each["failed"]))
    worst = [each for each in results if each["grade"] != "A+"]
    best = len(results) - len(worst)
    say(f"{best} of {len(results)} addresses have A+, the lowest score is {lowest(results)}.")
    return 1 if worst or len(results) != len(addresses()) else 0


def lowest(results: list[dict[str, Any]]) -> int:
    return min(int(each["score"]) for each in results)


if __name__ == "__main__":
    sys.exit(main())
