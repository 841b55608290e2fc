"""What strangers can do to a signed-in person: `python -m tests.bench.strangers [limits | gunicorn]`.

The web process has 1,024 files, as systemd starts services, and is attacked for 20 s in each of these ways:
half requests and half forms on 5,000 connections, from one address and from 200, each tried again when it is
closed; 800 forms of 2.4 MB that never end; handshakes of WebSockets; lengths of 5,000 digits. The strangers
live in a process of their own. Prints how long a signed-in person's table took meanwhile, asked for again and
again on new connections, how the log grew, and how much memory both web processes had at most. `gunicorn` is
the same with its own worker, which has no limits. Needs `ulimit -Hn` of 6,000.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import django
import requests

DATA = Path(os.environ.get("BENCH_DATA") or tempfile.mkdtemp(prefix="bench-strangers-"))  # the strangers' too
SECRET = "a secret that the bench and the process share"
os.environ.update(
    BENCH_DATA=str(DATA),
    DJANGO_SETTINGS_MODULE="finetune_portal.settings",
    DATA_DIR=str(DATA),
    SECRET_KEY=SECRET,
)
django.setup()

from finetune_portal.accounts.models import User  # noqa: E402 - needs the settings
from tests.bench.live import children, megabytes, say  # noqa: E402
from tests.cookies import session_cookie  # noqa: E402
from tests.web_server import WebServer, session_of  # noqa: E402

SECONDS, PAUSE, GIVE_UP = 20.0, 0.2, 30.0
FILES = 1024
HEAD = b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
HALF_FORM = HEAD + b"Content-Length: 60000\r\n\r\nusername="
FORM_BYTES = 2_400_000
UNENDING = HEAD + b"Content-Length: %d\r\n\r\n" % FORM_BYTES + bytes(FORM_BYTES - 1)
HANDSHAKE = (
    b"GET /live/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
DIGITS = HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"
ATTACKS = (
    ("nobody", 0, 1, b""),
    ("half requests", 5000, 1, HEAD),
    ("half requests", 5000, 200, HEAD),
    ("half forms", 5000, 200, HALF_FORM),
    ("2.4 MB forms", 800, 200, UNENDING),
    ("WebSockets", 50, 1, HANDSHAKE),
    ("5,000 digits", 50, 1, DIGITS),
)


@dataclass
class Person:
    """Asks for the table on a new connection each time; how long each answer took, in seconds."""

    url: str
    cookies: dict[str, str]
    took: list[float] = field(default_factory=list)
    failed: int = 0
    is_done: threading.Event = field(default_factory=threading.Event)

    def visit(self) -> None:
        while not self.is_done.wait(PAUSE):
            began = time.monotonic()
            try:
                answer = requests.get(f"{self.url}/", cookies=self.cookies, timeout=GIVE_UP)
                self.failed += answer.status_code != 200
            except requests.RequestException:
                self.failed += 1
            self.took.append(time.monotonic() - began)


def attack(port: int, count: int, addresses: int, sent: bytes, result: Any) -> None:
    result.send(asyncio.run(_attack(port, count, addresses, sent)))


async def _attack(port: int, count: int, addresses: int, sent: bytes) -> int:
    """Hold so many connections, each tried again when it is closed; how many tries there were."""
    until, tries = time.monotonic() + SECONDS, 0

    async def hold(number: int) -> None:
        nonlocal tries
        host = f"127.0.0.{number % addresses + 2}"
        while time.monotonic() < until:
            tries += 1
            try:
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + until - time.monotonic()):
                    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))
                    writer.write(sent)
                    await reader.read()
            except (OSError, TimeoutError):
                await asyncio.sleep(0.1)
            else:
                writer.close()

    await asyncio.gather(*(hold(number) for number in range(count)))
    return tries


def measure(web: WebServer, cookies: dict[str, str], name: str, *how: Any) -> None:
    assert web.process
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    strangers = context.Process(target=attack, args=(web.port, *how, there))
    pids, lines, size = children(web.process.pid), web.log.read_bytes().count(b"\n"), web.log.stat().st_size
    person = Person(web.url, cookies)
    visitor = threading.Thread(target=person.visit)
    most = megabytes(pids)
    strangers.start()
    visitor.start()
    while strangers.is_alive():
        time.sleep(0.1)
        most = max(most, megabytes(pids))
    tries = here.recv()
    person.is_done.set()
    visitor.join()
    took = sorted(person.took)
    log = web.log.read_bytes()
    say(
        f"{name:<14}{how[0]:>6}{how[1]:>5}{tries:>8}{len(took):>7}{person.failed:>7}"
        f"{took[len(took) // 2]:>8.2f}{took[-1]:>8.2f}{log.count(bytes([10])) - lines:>8}"
        f"{(len(log) - size) / 1e3:>9.1f}{most:>8.0f}"
    )


def main() -> None:
    which = "".join(sys.argv[1:2]) or "limits"
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    worker = {"GUNICORN_CMD_ARGS": "--worker-class=asgi"} if which == "gunicorn" else {}
    web = WebServer(DATA, SECRET, environment=worker, files=FILES).prepare().start()
    try:
        person = User.objects.create_user("ada@example.com", "not used here", name="Ada", role="maker")
        cookies = {session_cookie(web.url): session_of(person)}
        say(
            f"{which}: {FILES} files a process, {os.cpu_count()} cores shared with the strangers, load "
            f"{os.getloadavg()[0]:.1f}. Seconds for the table; log in lines and kB; both processes in MB.\n"
            "strangers      conns from   tries  pages failed     p50    most   lines       kB     MB"
        )
        for each in ATTACKS:
            measure(web, cookies, *each)
    finally:
        web.stop()
        shutil.rmtree(DATA)


if __name__ == "__main__":
    main()
