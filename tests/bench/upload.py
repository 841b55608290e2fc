"""A dataset of 1 GB through both legs: `python -m tests.bench.upload [megabytes]`.

First the pace: `curl -T` straight to the engine's presigned URL, beside the second leg alone and both legs
through the portal. Then the same file through a proxy that cuts 50 times, with web and worker killed (-9)
five times in between. Prints seconds, the shares, the web processes' memory, and whether the bytes arrived.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import django
import requests

os.environ["DJANGO_SETTINGS_MODULE"] = "finetune_portal.settings"
django.setup()

from finetune_portal.datasets import sample  # noqa: E402 - the browser tests' modules need the settings
from finetune_portal.providers.segmind import SegmindClient  # noqa: E402
from tests.cookies import csrf_cookie  # noqa: E402
from tests.e2e.conftest import EMAIL, PASSWORD, Portal  # noqa: E402
from tests.waiting import until  # noqa: E402

MEGABYTE = 1_000_000
PIECE = 8 * 1024 * 1024  # as the browser sends it
CUTS, KILLS = 50, 5
ROUNDS = 5  # a machine that others use too is twice as fast in one minute as in the next
TUS = {"Tus-Resumable": "1.0.0"}


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def make_zip(path: Path, megabytes: int) -> str:
    path.write_bytes(sample.make())
    with zipfile.ZipFile(path, "a") as archive, archive.open("notes.bin", "w", force_zip64=True) as notes:
        for _ in range(megabytes):
            notes.write(random.randbytes(MEGABYTE))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Cutter:
    """Relays one port to another and cuts a connection whenever another share of the file has passed."""

    def __init__(self, target: int, every: int, cuts: int) -> None:
        self.target, self.every, self.left, self.passed = target, every, cuts, 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            near, _ = self.server.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:
                near.close()
                continue
            threading.Thread(target=self._relay, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._relay, args=(far, near, False), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while block := source.recv(256 * 1024):
                sink.sendall(block)
                if counted and self._is_cut(len(block)):
                    break
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()  # else the sender's kernel takes bytes for a while and tells nobody

    def _is_cut(self, passed: int) -> bool:
        self.passed += passed
        if not self.left or self.passed < self.every:
            return False
        self.passed, self.left = 0, self.left - 1
        return True


class Person:
    """Signed in; sends a file as a tus client does: in pieces, asking for the offset after each break."""

    def __init__(self, url: str) -> None:
        self.url, self.session = url, requests.Session()
        form = self.session.get(f"{url}/login/", timeout=30).text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
        assert token
        data = {"username": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        self.session.headers["Referer"] = url
        self.session.post(f"{url}/login/", data=data, timeout=30).raise_for_status()
        self.session.headers["X-CSRFToken"] = self.session.cookies[csrf_cookie(url)]

    def send(self, path: Path, through: str) -> tuple[str, str]:
        """Answers the dataset's id and key."""
        size = path.stat().st_size
        named = base64.b64encode(path.name.encode()).decode()
        headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": f"filename {named}"}
        begun = self.session.post(f"{self.url}/uploads/", headers=headers, timeout=30)
        place, offset = through + begun.headers["Location"], 0
        with path.open("rb") as file:
            while offset < size:
                file.seek(offset)
                try:
                    offset = self._piece(place, offset, file.read(PIECE))
                except (requests.RequestException, KeyError):  # broken, or still held by the broken one
                    offset = self._ask(place)
        return begun.headers["Dataset-Id"], begun.headers["Location"].strip("/").rsplit("/", 1)[-1]

    def _piece(self, place: str, offset: int, data: bytes) -> int:
        kind = {"Content-Type": "application/offset+octet-stream"}
        headers = {**TUS, **kind, "Upload-Offset": str(offset)}
        return int(self.session.patch(place, data=data, headers=headers, timeout=30).headers["Upload-Offset"])

    def _ask(self, place: str) -> int:
        while True:
            try:
                return int(self.session.head(place, headers=TUS, timeout=30).headers["Upload-Offset"])
            except (requests.RequestException, KeyError):
                time.sleep(0.1)

    def is_ready(self, dataset: str) -> bool:
        try:
            return "Ready to train" in self.session.get(f"{self.url}/datasets/{dataset}/", timeout=30).text
        except requests.RequestException:
            return False


def processes(parent: int, word: str) -> list[int]:
    """The children, and theirs, of a process whose command line has the word."""
    pids = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            ppid = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            line = (entry / "cmdline").read_bytes().decode()
        except OSError:
            continue
        if ppid == parent:
            pids += ([int(entry.name)] if word in line else []) + processes(int(entry.name), word)
    return pids


def memory(pids: list[int]) -> float:
    """The largest resident size, in MiB."""
    sizes = [0.0]
    for pid in pids:
        try:
            line = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        except OSError:
            continue
        sizes.append(int(line[1]) / 1024 if line else 0.0)
    return max(sizes)


class Watch:
    """The growth of the web processes' memory, looked at ten times a second."""

    def __init__(self, portal: Portal) -> None:
        assert portal.process
        self.parent, self.first, self.most, self.over = portal.process.pid, 0.0, 0.0, False
        self.first = memory(processes(self.parent, "gunicorn"))
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not self.over:
            self.most = max(self.most, memory(processes(self.parent, "gunicorn")))
            time.sleep(0.1)


def stored(portal: Portal, key: str) -> Path:
    return next((portal.data / "engine" / "storage").rglob(f"*{key}*"))


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pace(portal: Portal, person: Person, path: Path) -> None:
    client = SegmindClient(portal.engine_url, (portal.data / "engine" / "api-key").read_text().strip())
    size = path.stat().st_size

    def timed(name: str, action: object, base: float = 0.0) -> float:
        start = time.monotonic()
        action()
        took = time.monotonic() - start
        share = f"  {base / took:.2f} of curl" if base else ""
        say(f"  {name:<34}{took:7.2f} s  {size / took / 1e6:6.0f} MB/s{share}")
        return took

    def by_curl() -> None:
        target = client.presigned_url("curl.zip").presigned_url
        subprocess.run(["curl", "-sfT", str(path), target], check=True)

    def second_leg() -> None:
        with path.open("rb") as file:
            client.upload(client.presigned_url("leg.zip").presigned_url, file, size)

    def both_legs() -> None:
        dataset, _ = person.send(path, person.url)
        until(lambda: person.is_ready(dataset), seconds=300, why="both legs")

    shares = []
    for _ in range(ROUNDS):
        base = timed("curl -T to the presigned URL", by_curl)
        second = timed("second leg alone", second_leg, base)
        both = timed("both legs, until ready to train", both_legs, base)
        shares.append((base / second, base / both))
    alone, through = (statistics.median(each) for each in zip(*shares, strict=True))
    say(f"  median: second leg alone {alone:.2f} of curl, both legs {through:.2f}")


def faults(portal: Portal, person: Person, path: Path, right: str) -> None:
    cutter = Cutter(portal.port, path.stat().st_size // (CUTS + 5), CUTS)
    watch = Watch(portal)

    def kill() -> None:
        for turn in range(KILLS):
            before = cutter.left
            until(lambda: cutter.left <= before - CUTS // (KILLS + 1), seconds=600, why="the next cuts")  # noqa: B023
            for pid in processes(watch.parent, "gunicorn" if turn % 2 else "manage.py\0work")[:1]:
                os.kill(pid, signal.SIGKILL)
                say(f"  killed {'web' if turn % 2 else 'worker'} after {CUTS - cutter.left} cuts")

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    start = time.monotonic()
    dataset, key = person.send(path, f"http://127.0.0.1:{cutter.port}")
    until(lambda: person.is_ready(dataset), seconds=600, why="through cuts and kills")
    killer.join()
    watch.over = True
    same = sha256(stored(portal, key)) == right
    say(f"  {CUTS - cutter.left} cuts, {KILLS} kills, {time.monotonic() - start:.1f} s")
    say(f"  the object has {'the same' if same else 'ANOTHER'} SHA-256")
    say(f"  web memory {watch.first:.0f} MiB before, {watch.most:.0f} MiB at most")


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.zip"
        right = make_zip(path, megabytes)
        portal = Portal(Path(folder) / "portal" / "data")
        try:
            portal.start()
            person = Person(portal.url)
            say(f"Pace, {path.stat().st_size / 1e6:.0f} MB, {os.cpu_count()} cores, {ROUNDS} rounds:")
            pace(portal, person, path)
            say("Faults:")
            faults(portal, person, path, right)
        finally:
            portal.stop()


if __name__ == "__main__":
    main()
