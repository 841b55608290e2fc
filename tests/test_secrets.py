"""Planted secrets: the whole portal is used, misused, broken, and then searched for each (K1, K2, K6).

One running portal, with the access log on and the log as JSON. What is searched: the database and what lies
beside it, a backup, the log, the command lines of all processes, every answer with its headers, exports
included. Two things are told on purpose, once, to the person who asked: a new token or webhook address, and
a signed link to a file. Those answers are set aside; all others may not hold them.
"""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from finetune_portal.datasets import sample
from tests import databases
from tests.cookies import csrf_cookie
from tests.e2e.conftest import EMAIL, Portal
from tests.operations.test_up import Maker, tree
from tests.test_access import ROUTES
from tests.traces import command_lines, contents_below
from tests.waiting import until

SIGNED = re.compile(rb"(?i)[?&;\"](?:x-amz-)?signature=(?!\[redacted\])[^&\s\"'<>\\]{12,}")
TOKEN = re.compile(r"ftp_\w{40}")
HOOK = re.compile(r"/hooks/segmind/([\w-]{20,})/")
OWN_PLACE = {"secrets", "static"}  # where the keys themselves are kept; the stylesheets
PIECES = {"token": "no-such", "half": "start", "edge": "small", "number": "0", "uidb64": "MQ", "rest": "x"}


def planted(kind: str) -> str:
    return f"{kind}{secrets.token_hex(20)}"


@dataclass
class Life:
    """A portal, its secrets by name, and all that it answered."""

    portal: Portal
    secrets: dict[str, str] = field(default_factory=dict)
    answers: list[requests.Response] = field(default_factory=list)
    maker: Maker = field(init=False)

    def __post_init__(self) -> None:
        self.maker = Maker(self.portal)
        self.maker.session.hooks["response"].append(self.keep)

    def keep(self, answer: requests.Response, **_: Any) -> None:
        self.answers.append(answer)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.maker.session.get(self.portal.url + path, timeout=20, **options)

    def send(self, path: str, fields: dict[str, Any], **options: Any) -> requests.Response:
        """A form, however it is answered."""
        csrf = {"csrfmiddlewaretoken": self.maker.session.cookies[csrf_cookie(self.portal.url)]}
        return self.maker.session.post(self.portal.url + path, fields | csrf, timeout=20, **options)

    def told_once(self, answer: requests.Response) -> str:
        """Set this answer aside: it tells a secret to who asked for it."""
        apart = [answer, *answer.history]
        self.answers = [kept for kept in self.answers if not any(kept is each for each in apart)]
        return answer.text

    def call(self, path: str, **options: Any) -> requests.Response:
        """A call of the API by the token, as a script makes it."""
        headers = {"x-api-key": self.secrets["portal token"]}
        answer = requests.request(url=self.portal.url + path, headers=headers, timeout=20, **options)
        self.keep(answer)
        return answer


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    own = Life(Portal(tmp_path_factory.mktemp("secrets") / "data"))
    own.secrets = {
        "API key": planted("sk-"),
        "sealing key": planted("seal-"),
        "password": planted("pass-"),
        "signing key": planted("sign-"),
        "webhook secret": planted("hook-"),
    }
    try:
        own.portal.start(
            ENGINE_API_KEY=own.secrets["API key"],
            PORTAL_SEALING_KEYS=own.secrets["sealing key"],
            PORTAL_ADMIN_PASSWORD=own.secrets["password"],
            SECRET_KEY=own.secrets["signing key"],
            ENGINE_WEBHOOK_SECRET=own.secrets["webhook secret"],
            PORTAL_PROVIDER_URLS=own.portal.engine_url,
            PORTAL_ACCESS_LOG="yes",
            PORTAL_LOG_JSON="yes",
        )
        goes_the_main_way(own)
        does_it_wrong(own)
        sees_every_page(own)
        breaks_it(own)
        yield own
    finally:
        own.portal.stop()


def goes_the_main_way(life: Life) -> None:
    life.maker.post("/login/", {"username": EMAIL, "password": life.secrets["password"]})
    fields = {"name": "script", "rights": ["train", "publish", "download"], "days": "90"}
    life.secrets["portal token"] = TOKEN.findall(life.told_once(life.send("/tokens/", fields)))[0]
    life.secrets["webhook token"] = HOOK.findall(life.told_once(life.send("/settings/webhooks/rotate/", {})))[
        0
    ]
    key = {"key": life.secrets["API key"]}
    life.send("/settings/connections/add/", {"name": "Second", "provider": life.portal.engine_url, **key})
    life.send("/settings/connections/2/key/", key)
    life.send("/settings/connections/2/test/", {})
    invited = life.told_once(life.send("/team/invite/", {"email": "bob@example.com", "role": "maker"}))
    life.secrets["invitation"] = re.findall(r"/setup/([\w-]{20,})/", invited)[0]
    renewed = life.told_once(life.send("/team/1/password/", {}))
    life.secrets["link to a new password"] = re.findall(r"/password/\w+/([\w-]{20,})/", renewed)[0]
    job = life.maker.starts()
    life.maker.waits_for(job, "ready")
    signed_links(life, job)
    life.send(f"{job}public/", {"public": "on"})
    life.send(f"{job}copy/", {})
    until(lambda: "SHA-256" in life.get(job).text, why="the worker read the file")
    hook = f"{life.portal.url}/hooks/segmind/{life.secrets['webhook token']}/"
    for body in (b'{"event": "x"}', b"x" * 70_000):
        life.keep(requests.post(hook, data=body, timeout=30))


def signed_links(life: Life, job: str) -> None:
    """Each of the four signed addresses that a person or a script may ask for."""
    link = life.get(f"{job}download/", allow_redirects=False)
    life.secrets["signed link"] = parse_qs(urlsplit(link.headers["Location"]).query)["signature"][0]
    life.told_once(link)
    listed = life.told_once(life.send("/jobs/links/", {"job": job.split("/")[2]}))
    life.secrets["link in the list"] = parse_qs(urlsplit(listed.split()[-1]).query)["signature"][0]
    given = life.call("/finetune/request/upload/pre-signed-url?name=night", method="GET")
    life.told_once(given)
    upload = given.json()
    life.secrets["upload address"] = parse_qs(urlsplit(upload["presigned_url"]).query)["signature"][0]
    life.keep(requests.put(upload["presigned_url"], sample.make(), timeout=30))
    life.keep(requests.put(upload["presigned_url"], sample.make(), timeout=30))
    trained = life.call("/finetune/request/list", method="GET").json()[0]
    path = "/finetune/request/file/download"
    asked = {"cloud_storage_url": trained.get("cloud_storage_url", "")}
    bare = life.told_once(life.call(path, method="GET", params=asked))
    if "Signature=" in bare:
        life.secrets["link by a call"] = parse_qs(urlsplit(bare).query)["signature"][0]


def does_it_wrong(life: Life) -> None:
    """Secrets where they do not belong: what is refused must not come back, nor stay anywhere."""
    life.secrets["mistyped password"], life.secrets["mistyped key"] = planted("miss-"), planted("sk-")
    stranger = requests.Session()
    stranger.hooks["response"].append(life.keep)
    page = stranger.get(f"{life.portal.url}/login/", timeout=20).text
    csrf = {"csrfmiddlewaretoken": re.findall(r'csrfmiddlewaretoken" value="(\w+)"', page)[0]}
    wrong = {"username": EMAIL, "password": life.secrets["mistyped password"], **csrf}
    stranger.post(f"{life.portal.url}/login/", wrong, timeout=20)
    in_the_wrong_field = {"username": life.secrets["mistyped password"], "password": "x", **csrf}
    life.told_once(stranger.post(f"{life.portal.url}/login/", in_the_wrong_field, timeout=20))
    bad_key = {"key": life.secrets["mistyped key"]}
    life.send("/settings/connections/add/", {"name": "", "provider": "https://evil.example", **bad_key})
    life.send("/settings/connections/2/key/", {"key": f"{life.secrets['mistyped key']} two words"})
    life.send("/settings/connections/2/key/", bad_key)
    life.send("/settings/connections/2/test/", {})
    for name in ("API key", "portal token"):
        for headers in ({"Authorization": f"Bearer {life.secrets[name]}"}, {"x-api-key": life.secrets[name]}):
            life.get("/finetune/request/list", headers=headers)
            life.get("/nowhere/", headers=headers)
    life.get("/", params={"api_key": life.secrets["API key"], "token": life.secrets["portal token"]})
    life.get(f"/hooks/segmind/{life.secrets['webhook token']}/")
    life.get(f"/hooks/segmind/{life.secrets['webhook token']}/too/far/")
    life.call("/finetune/request/submit", method="POST", json={"name": 7})
    life.call("/finetune/request/submit", method="POST", data="{")


def sees_every_page(life: Life) -> None:
    for route in ROUTES.values():
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda match: PIECES.get(match[1], "1"), route)
        if not re.search(r"download|logout", path):
            life.get("/" + path)
            life.keep(requests.get(f"{life.portal.url}/{path}", timeout=30))
    life.send("/csp-report/", {"csp-report": "{}"})
    life.get("/", headers={"Host": "elsewhere.example"})
    life.maker.session.post(f"{life.portal.url}/jobs/bulk/", timeout=30)  # without the form's token


def breaks_it(life: Life) -> None:
    """A page of a fault, and the traceback of it in the log: the table of jobs is gone for a moment."""
    with databases.opened(life.portal.data) as database:
        database.execute("ALTER TABLE jobs_job RENAME TO jobs_gone")
        try:
            assert life.get("/").status_code == 500
            assert life.call("/finetune/request/list", method="GET").status_code == 500
        finally:
            database.execute("ALTER TABLE jobs_gone RENAME TO jobs_job")
    databases.back_up(life.portal.data, life.portal.data / "backup")


def places(life: Life) -> Iterator[tuple[str, bytes]]:
    """Everything that was written, said or shown."""
    data = life.portal.data
    for path, content in contents_below(data.parent):
        if path.relative_to(data.parent).parts[1:2] not in [(own,) for own in OWN_PLACE]:
            yield str(path.relative_to(data.parent)), content
    assert life.portal.process
    for pid, line in command_lines([life.portal.process.pid, *tree(life.portal.process.pid)]):
        yield f"the command line of {pid}", line
    for answer in life.answers:
        head = "\n".join(f"{name}: {value}" for name, value in answer.headers.items() if name != "Set-Cookie")
        yield f"{answer.request.method} {answer.request.url}", head.encode() + answer.content


def shapes(secret: str) -> set[bytes]:
    """As it is, and as it looks when it was coded but not sealed."""
    plain = secret.encode()
    return {plain, plain.hex().encode(), b64encode(plain).rstrip(b"=")[:-2]}


@pytest.mark.long
def test_no_secret_is_anywhere(life: Life) -> None:
    """A page may repeat the query of its own address, to whoever typed that."""
    assert len(life.secrets) >= 13
    searched = list(places(life))
    leaks = {
        f"{name} in {place}"
        for name, secret in life.secrets.items()
        for place, content in searched
        if secret not in place.partition("?")[2] and any(shape in content for shape in shapes(secret))
    }
    assert sorted(leaks) == []


def test_no_signed_address_is_anywhere(life: Life) -> None:
    """Those of the worker too, which nobody saw."""
    leaks = {
        f"{match[0][:40]!r} in {place}"
        for place, content in places(life)
        for match in SIGNED.finditer(content)
    }
    assert sorted(leaks) == []


def test_the_search_looks_everywhere(life: Life) -> None:
    """What is there on purpose is found: in the database, the backup, the log and the pages."""
    there = [place for place, content in places(life) if EMAIL.encode() in content]
    assert "data/backup" in there
    assert databases.URL or {"data/portal.sqlite3", "data/portal.sqlite3-wal"} & set(there)
    assert any(place.startswith("GET ") for place in there)
    log = life.portal.log_text()
    assert "[redacted]" in log
    assert "Traceback" in log
    assert "gunicorn.access" in log
    assert SIGNED.search(b'"https://a/b?Signature=abcdefghijklmnop"')
