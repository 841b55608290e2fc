"""Everything at once: `python -m tests.bench.soak [minutes]`, 15 with kills and 15 without by default.

The whole product under `manage.py up`, with 200 people's pages and streams, 20 uploads at a time, 50 webhooks
a second, pictures for the playground and the noise of strangers. In the first half a web process and the
worker are killed (-9) every minute; then the same without. Prints each kind's statuses, broken connections
away from a kill, what was lost, and how the memory of each process grew after the first third.

The engine simulates its trainings, so each run in the playground is refused (422) once its form is read. With
the environment of `make run-train` and KONTEXT_MODEL_DIR, runs are made, too.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import django
import requests

HERE = Path(tempfile.mkdtemp(prefix="bench-soak-"))
SECRET = "a secret that the bench and the processes share"
os.environ.update(
    DJANGO_SETTINGS_MODULE="finetune_portal.settings", DATA_DIR=str(HERE / "data"), SECRET_KEY=SECRET
)
django.setup()

from django.db import connection  # noqa: E402 - needs the settings

from finetune_portal.accounts.models import User  # noqa: E402
from finetune_portal.datasets.models import Dataset, Transfer  # noqa: E402
from finetune_portal.jobs.models import Job  # noqa: E402
from finetune_portal.webhooks.models import Delivery, Endpoint  # noqa: E402
from finetune_portal.webhooks.services import receive_path, sha256_of  # noqa: E402
from tests.bench.upload import memory, processes  # noqa: E402
from tests.cookies import csrf_cookie, session_cookie  # noqa: E402
from tests.e2e.conftest import Portal, write_sample  # noqa: E402
from tests.people import form_data  # noqa: E402
from tests.provider import PICTURE  # noqa: E402
from tests.waiting import until  # noqa: E402
from tests.web_server import session_of  # noqa: E402

PEOPLE, UPLOADS, UPLOAD_SECONDS, PIECES = 200, 20, 120.0, 12
PAGES, HOOKS, RUNS, STRANGERS = 7.0, 50.0, 0.2, 5.0  # a second
KILL_EVERY, NEAR_A_KILL = 60.0, 20.0  # seconds
HOOK_TOKEN, CSRF = secrets.token_urlsafe(32), "c" * 32
TUS = {"Tus-Resumable": "1.0.0"}
Sizes = tuple[dict[str, float], dict[str, float]]


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@dataclass
class Half:
    """What one half of the soak saw."""

    portal: Portal
    sessions: list[str]
    job: int
    ends_at: float
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    broken: list[tuple[str, float]] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)  # key of a dataset: SHA-256 of what was sent
    chance: random.Random = field(default_factory=lambda: random.Random(5))

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.ends_at

    def call(self, kind: str, method: str, path: str, session: str = "", **options: Any) -> Any:
        """The answer, or None for a broken connection. Each is counted."""
        cookies = {csrf_cookie(self.portal.url): CSRF}
        if session:
            cookies[session_cookie(self.portal.url)] = session
        headers = {"X-CSRFToken": CSRF, "Referer": self.portal.url, **options.pop("headers", {})}
        url = path if "://" in path else self.portal.url + path
        try:
            answer = requests.request(
                method, url, headers=headers, cookies=cookies, timeout=60, allow_redirects=False, **options
            )
        except requests.RequestException:
            self.broken.append((kind, time.monotonic()))
            return None
        self.statuses[kind, answer.status_code] += 1
        return answer

    def away_from_a_kill(self) -> Counter[str]:
        return Counter(
            kind for kind, at in self.broken if not any(0 <= at - kill < NEAR_A_KILL for kill in self.kills)
        )

    def page(self) -> None:
        paths = ("/", "/datasets/", "/jobs/new/", f"/jobs/{self.job}/", "/jobs/table/", "/settings/notices/")
        self.call("page", "GET", self.chance.choice(paths), self.chance.choice(self.sessions))

    def hook(self) -> None:
        body = {"event": "finetune.status", "finetune_id": f"ft-{self.chance.randrange(50)}"}
        self.call("webhook", "POST", receive_path(HOOK_TOKEN), json=body)

    def run(self) -> None:
        """Post a picture of one's own: it is decoded, then refused, for the engine only simulates."""
        numbers = {"strength": "1", "seed": "7", "steps": "28", "guidance": "2.5"}
        fields = {"form_key": uuid.uuid4(), "prompt": "night", **numbers}
        person, file = self.chance.choice(self.sessions), {"file": ("own.png", PICTURE)}
        self.call("playground", "POST", f"/jobs/{self.job}/try/", person, data=fields, files=file)

    def stranger(self) -> None:
        kind = self.chance.choice(("sign-in", "nowhere", "half", "hook", "large"))
        if kind == "half":
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.portal.port), 5) as half:
                half.sendall(b"GET / HTTP/1.1\r\nHost: ")
                time.sleep(1)
        elif kind == "sign-in":
            data = {"username": f"{self.chance.random()}@example.com", "password": "guess"}
            self.call("stranger", "POST", "/login/", data=data)
        elif kind == "large":
            self.call("stranger", "POST", "/login/", data=b"x" * 3_000_000)
        else:
            path = "/nowhere/" if kind == "nowhere" else receive_path("x" * 43)
            self.call("stranger", "GET" if kind == "nowhere" else "POST", path)

    def uploads(self, number: int) -> None:
        """Send one file after another, slowly, each to its end: also the last one, after the half is over."""
        while not self.is_over:
            path = HERE / f"upload-{number}.zip"
            write_sample(path)
            self._upload(path.read_bytes(), self.sessions[number])

    def _upload(self, content: bytes, session: str) -> None:
        name = base64.b64encode(b"soak.zip").decode()
        headers = {**TUS, "Upload-Length": str(len(content)), "Upload-Metadata": f"filename {name}"}
        begun = self.call("upload", "POST", "/uploads/", session, headers=headers)
        if begun is None or begun.status_code != 201:
            time.sleep(2)
            return
        place, offset, size = begun.headers["Location"], 0, -(-len(content) // PIECES)
        while offset < len(content):
            time.sleep(UPLOAD_SECONDS / PIECES * (not self.is_over))
            headers = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
            piece = content[offset : offset + size]
            sent = self.call("upload", "PATCH", place, session, data=piece, headers=headers)
            while sent is None or "Upload-Offset" not in sent.headers:
                time.sleep(0.5)
                sent = self.call("upload", "HEAD", place, session, headers=TUS)
            offset = int(sent.headers["Upload-Offset"])
        self.files[place.strip("/").rsplit("/", 1)[-1]] = hashlib.sha256(content).hexdigest()

    def stream(self, session: str) -> None:
        """An open live stream, opened again when it ends."""
        request = (
            f"GET /live/ HTTP/1.1\r\nHost: 127.0.0.1:{self.portal.port}\r\n"
            f"Cookie: {session_cookie(self.portal.url)}={session}\r\n\r\n"
        )
        while not self.is_over:
            try:
                with socket.create_connection(("127.0.0.1", self.portal.port), 10) as opened:
                    opened.settimeout(30)  # the stream beats oftener
                    opened.sendall(request.encode())
                    self._read(opened)
            except OSError:
                self.broken.append(("stream", time.monotonic()))
                time.sleep(1)

    def _read(self, opened: socket.socket) -> None:
        head = opened.recv(65_536)
        self.statuses["stream", int(head.split()[1]) if head else 0] += 1
        while not self.is_over:
            if not opened.recv(65_536):
                raise ConnectionResetError

    def kill(self) -> None:
        """Kill a web process and the worker every minute; `manage.py up` starts them again."""
        assert self.portal.process
        while not self.is_over:
            time.sleep(KILL_EVERY)
            parent = self.portal.process.pid
            web = [pid for pid in processes(parent, "gunicorn") if pid not in children(parent)]
            self.kills.append(time.monotonic())
            for pid in (*self.chance.sample(web, min(1, len(web))), *processes(parent, "manage.py work")):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def children(parent: int) -> list[int]:
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(pid) for pid in text.split()]


def every(half: Half, rate: float, work: Callable[[], None], threads: int) -> None:
    """Do the work `rate` times a second, as far as so many threads allow."""
    with ThreadPoolExecutor(threads) as pool:
        due = time.monotonic()
        while not half.is_over:
            pool.submit(work)
            due += 1 / rate
            time.sleep(max(0.0, due - time.monotonic()))


def sizes(parent: int) -> dict[str, float]:
    """MiB of each process below the supervisor."""
    return {
        f"{word} {pid}": memory([pid])
        for word in ("gunicorn", "work", "engine")
        for pid in processes(parent, word)
    }


def soak(half: Half, seconds: float, *, has_kills: bool) -> Sizes:
    """Run all loads at once; the sizes of the processes after a third, and the largest ones after it."""
    assert half.portal.process
    loads = [
        (PAGES, half.page, 16),
        (HOOKS, half.hook, 32),
        (RUNS, half.run, 8),
        (STRANGERS, half.stranger, 16),
    ]
    threads = [threading.Thread(target=every, args=(half, *load)) for load in loads]
    threads += [threading.Thread(target=half.uploads, args=(number,)) for number in range(UPLOADS)]
    threads += [threading.Thread(target=half.stream, args=(session,)) for session in half.sessions]
    threads += [threading.Thread(target=half.kill)] if has_kills else []
    for thread in threads:
        thread.start()
    time.sleep(seconds / 3)
    first = sizes(half.portal.process.pid)
    most = dict(first)
    while not half.is_over:
        time.sleep(5)
        most |= {
            name: max(size, most.get(name, 0.0)) for name, size in sizes(half.portal.process.pid).items()
        }
    for thread in threads:
        thread.join()
    return first, most


def lost(half: Half, hooks_before: int) -> list[str]:
    """What was accepted and is not there in the end."""
    until(lambda: not Dataset.objects.exclude(state="ready").exists(), seconds=600)
    until(lambda: not Transfer.objects.filter(finished_at=None).exists(), seconds=600)
    until(lambda: not Delivery.objects.filter(processed_at=None).exists(), seconds=600)
    files = [key for key, sha256 in half.files.items() if sha256_of_file(key) != sha256]
    accepted, rows = half.statuses["webhook", 200], Delivery.objects.count() - hooks_before
    return [f"dataset {key}" for key in files] + [f"{accepted - rows} webhooks"] * (rows < accepted)


def sha256_of_file(key: str) -> str:
    dataset = Dataset.objects.filter(key=uuid.UUID(key), state="ready").first()
    return hashlib.sha256(dataset.path.read_bytes()).hexdigest() if dataset else ""


def report(title: str, half: Half, grown: Sizes, missing: list[str]) -> None:
    say(f"\n{title}: {len(half.kills)} kills, {len(half.files)} uploads to their end")
    kinds = sorted({kind for kind, _ in half.statuses})
    for kind in kinds:
        counts = {status: count for (name, status), count in sorted(half.statuses.items()) if name == kind}
        say(f"  {kind:<11} {counts}")
    away = dict(half.away_from_a_kill())
    say(f"  broken connections: {len(half.broken)}, away from a kill: {away or 'none'}")
    faults = {key: count for key, count in half.statuses.items() if key[1] >= 500 and key[1] != 503}
    say(f"  5xx but 503: {faults or 'none'}; lost: {', '.join(missing) or 'nothing'}")
    if not half.kills:
        first, most = grown
        for name, size in first.items():
            growth = 100 * (most[name] / size - 1)
            say(f"  {name:<18} {size:6.0f} MiB, at most {most[name]:6.0f} afterwards ({growth:+.0f} %)")


def first_model(portal: Portal, admin: str) -> int:
    """Train the sample once; the number of the job, whose model the playground runs."""
    half = Half(portal, [admin], 0, time.monotonic())
    path = HERE / "first.zip"
    write_sample(path)
    half._upload(path.read_bytes(), admin)
    dataset = Dataset.objects.get()
    until(lambda: Dataset.objects.filter(pk=dataset.pk, state="ready").exists(), seconds=120)
    answer = half.call("job", "POST", "/jobs/new/", admin, data=form_data(dataset))
    assert answer.status_code == 302, answer.text[:500]
    until(lambda: Job.objects.filter(state="ready").exists(), seconds=300)
    return int(Job.objects.get().pk)


def main() -> None:
    minutes = [float(text) for text in sys.argv[1:]] or [15.0]
    portal = Portal(HERE / "data")
    try:
        portal.start()
        names = [f"person{number}@example.com" for number in range(PEOPLE)]
        people = User.objects.bulk_create(
            User(email=name, name=name, password="!", role=User.Role.MAKER) for name in names
        )
        sessions = [session_of(person) for person in people]
        Endpoint.objects.create(token_hash=sha256_of(HOOK_TOKEN))
        job = first_model(portal, sessions[0])
        for title, has_kills in (("With kills", True), ("Without kills", False)):
            seconds, before = 60 * minutes[-1], Delivery.objects.count()
            half = Half(portal, sessions, job, time.monotonic() + seconds)
            grown = soak(half, seconds, has_kills=has_kills)
            report(title, half, grown, lost(half, before))
            connection.close()
    finally:
        portal.stop()
        shutil.rmtree(HERE)


if __name__ == "__main__":
    main()
