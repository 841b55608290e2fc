"""Forty writers of all kinds at once on a disk with a floor: `python -m tests.bench.disk_floor [seconds]`.

The portal runs on a tmpfs of 300 MB with a floor of 200 MB, which only root can mount. The writers: uploads
by tus with and without Content-Length, plain forms of makers and of viewers, PUTs to the gateway and to the
engine, new versions, backups and previews, each again and again. What was accepted is compared with what was
sent and deleted. Prints the least free space, what each kind was answered, and what was found damaged.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.running import ROOT
from tests.storage.small_disk import MB, small_disk

DISK, FLOOR = 300 * MB, 200 * MB
SECONDS = 60.0
TIMEOUT = 300
WRITERS = {
    "tus": 8,
    "tus in chunks": 8,
    "form of a maker": 4,
    "form of a viewer": 4,
    "gateway": 6,
    "engine": 4,
    "new version": 2,
    "backup": 1,
    "preview": 3,
}


def main(arguments: list[str]) -> int:
    """Mount the disk, and run the rest in a process whose DATA_DIR lies on it."""
    with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder) / "disk", DISK) as is_mounted:
        if not is_mounted:
            say("Only root can mount a disk of 300 MB, so nothing was measured.")
            return 2
        disk = Path(folder) / "disk"
        (disk / "tmp").mkdir()
        own = {"DATA_DIR": str(disk / "data"), "TMPDIR": str(disk / "tmp"), "DISK_FLOOR_BYTES": str(FLOOR)}
        settings = {"DJANGO_SETTINGS_MODULE": "finetune_portal.settings"}
        inside = [sys.executable, "-m", "tests.bench.disk_floor", *(arguments or [str(SECONDS)]), str(disk)]
        return subprocess.run(inside, cwd=ROOT, env={**os.environ, **own, **settings}, check=False).returncode


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@dataclass
class Measured:
    """What was seen so far."""

    disk: Path
    answers: dict[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in WRITERS})
    sent: dict[str, str] = field(default_factory=dict)  # SHA-256 by the name of the file
    compared: int = 0
    damaged: list[str] = field(default_factory=list)
    least: int = DISK
    is_over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        while not self.is_over.is_set():
            disk = os.statvfs(self.disk)
            self.least = min(self.least, disk.f_bavail * disk.f_frsize)
            time.sleep(0.0002)


def content(name: str) -> bytes:
    """The sample with a file of noise, so that no two are alike; 1 to 8 MB."""
    from finetune_portal.datasets import sample

    packed = io.BytesIO(sample.make())
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(f"{name}.bin", random.randbytes(random.randrange(MB, 8 * MB)))
    return packed.getvalue()


def in_pieces(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), 100_000):
        yield data[at : at + 100_000]


class Writers:
    """The kinds of writers; each method writes once and returns what it was answered."""

    def __init__(self, portal: Any, seen: Measured) -> None:
        from tests.datasets.corpus.zip_builder import dataset, packed
        from tests.gateway.api_client import token_of
        from tests.people import make_dataset, person
        from tests.web_server import session_of

        self.portal, self.seen = portal, seen
        self.makers = [person(f"maker{number}", "maker") for number in range(8)]
        self.tokens = [token_of(maker, "train") for maker in self.makers]
        self.sessions = [session_of(maker) for maker in self.makers]
        self.viewer = session_of(person("viewer", "viewer"))
        self.source = make_dataset(self.makers[0], data=packed(dataset(20)), stored=False)
        self.engine_key = (portal.data / "engine" / "api-key").read_text().strip()

    def write(self, kind: str, number: int, name: str) -> str:
        who = number % len(self.makers)
        kinds: dict[str, Callable[[], str]] = {
            "tus": lambda: self.by_tus(who, name, chunked=False),
            "tus in chunks": lambda: self.by_tus(who, name, chunked=True),
            "form of a maker": lambda: self.by_form(self.sessions[who], name),
            "form of a viewer": lambda: self.by_form(self.viewer, name),
            "gateway": lambda: self.by_gateway(who, name),
            "engine": lambda: self.to_engine(name),
            "new version": lambda: self.version(name),
            "backup": lambda: self.backup(name),
            "preview": lambda: self.preview(number),
        }
        return kinds[kind]()

    def session(self, cookie: str) -> requests.Session:
        from tests.cookies import csrf_cookie, session_cookie

        own = requests.Session()
        own.cookies[session_cookie(self.portal.url)] = cookie
        own.cookies[csrf_cookie(self.portal.url)] = "c" * 32
        own.headers.update({"X-CSRFToken": "c" * 32, "Referer": self.portal.url})
        return own

    def by_tus(self, who: int, name: str, *, chunked: bool) -> str:
        from tests.datasets.tus import CHUNK_HEADERS, begin

        data = content(name)
        with self.session(self.sessions[who]) as maker:
            begun = begin(self.portal.url, maker, len(data), f"{name}.zip")
            if begun.status_code != 201:
                return outcome_of(begun)
            self.seen.sent[f"{name}.zip"] = hashlib.sha256(data).hexdigest()
            return outcome_of(
                maker.patch(
                    self.portal.url + begun.headers["Location"],
                    data=in_pieces(data) if chunked else data,
                    headers={**CHUNK_HEADERS, "Upload-Offset": "0"},
                    timeout=TIMEOUT,
                )
            )

    def by_form(self, cookie: str, name: str) -> str:
        from tests.people import form_data

        data = content(name)
        self.seen.sent[f"{name}.zip"] = hashlib.sha256(data).hexdigest()
        with self.session(cookie) as own:
            url, files = f"{self.portal.url}/jobs/new/", {"file": (f"{name}.zip", data)}
            return outcome_of(own.post(url, form_data(), files=files, timeout=TIMEOUT, allow_redirects=False))

    def by_gateway(self, who: int, name: str) -> str:
        data = content(name)
        self.seen.sent[f"{name}.zip"] = hashlib.sha256(data).hexdigest()
        urls = presigned(self.portal.url, self.tokens[who], name)
        return outcome_of(requests.put(urls["presigned_url"], data=data, timeout=TIMEOUT))

    def to_engine(self, name: str) -> str:
        data = content(name)
        urls = presigned(self.portal.engine_url, self.engine_key, name)
        answer = requests.put(urls["presigned_url"], data=data, timeout=TIMEOUT)
        if answer.ok:
            stored = requests.get(urls["presigned_url"].partition("?")[0], timeout=TIMEOUT)
            path = self.portal.data / "engine" / "storage" / urls["s3_url"].partition("/storage/")[2]
            with suppress(FileNotFoundError):  # it was deleted meanwhile
                if path.read_bytes() != data:
                    self.seen.damaged.append(f"{name} in the engine")
            assert stored.status_code == 403, "an upload cannot be read"
        return outcome_of(answer)

    def version(self, name: str) -> str:
        from finetune_portal.datasets import versions

        captions = {"01": name}
        row = versions.with_captions(self.source, captions, actor=self.makers[0])
        while row.state == row.State.MAKING and not self.seen.is_over.is_set():
            time.sleep(0.1)
            row.refresh_from_db()
        problem = row.problems[0] if row.is_rejected else ""
        return "has room for" if "has room for" in problem else problem or "made"

    def backup(self, name: str) -> str:
        target = self.seen.disk / f"{name}.tar"
        command = [sys.executable, "manage.py", "backup", str(target)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            return "has room for" if "has room for" in done.stderr else done.stderr[-200:]
        with tarfile.open(target) as tar:
            assert sum(1 for _ in tar) > 2
        target.unlink()
        return "made"

    def preview(self, number: int) -> str:
        for path in self.source.previews.glob("*.webp"):
            path.unlink(missing_ok=True)
        with self.session(self.viewer) as own:
            url = f"{self.portal.url}/datasets/{self.source.pk}/{number}-start-large.webp"
            return outcome_of(own.get(url, timeout=TIMEOUT))


def presigned(url: str, key: str, name: str) -> dict[str, str]:
    asked = requests.get(
        f"{url}/finetune/request/upload/pre-signed-url",
        json={"name": f"{name}.zip"},
        headers={"x-api-key": key},
        timeout=TIMEOUT,
    )
    asked.raise_for_status()
    return dict(asked.json())


def outcome_of(answer: requests.Response) -> str:
    """The status, and the sentence where there was no room."""
    sentence = " has room for" if "has room for" in answer.text[:20_000] else ""
    return f"{answer.status_code}{sentence}"


def compare_and_delete(seen: Measured, source: int) -> None:
    """Compare the files of finished uploads with what was sent, and make room again."""
    from finetune_portal.datasets.models import Dataset, Transfer
    from finetune_portal.jobs.models import Job
    from finetune_portal.storage import files

    whole = Dataset.objects.exclude(pk=source).exclude(state__in=("receiving", "making"))
    for dataset in whole.order_by("pk")[:20]:
        if not dataset.recipe and dataset.path.exists():
            actual = hashlib.sha256(dataset.path.read_bytes()).hexdigest()
            seen.compared += 1
            if actual != seen.sent[dataset.filename]:
                seen.damaged.append(dataset.filename)
        Job.objects.filter(dataset=dataset).delete()
        Transfer.objects.filter(dataset=dataset).delete()
        dataset.delete()
        files.delete(dataset.path, dataset.seen_path, dataset.previews)
    for path in (seen.disk / "data" / "engine" / "storage").rglob("*.zip"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - 5:
                path.unlink()


def measure(seconds: float, disk: Path) -> int:
    import django

    django.setup()
    from django.db import connections

    from tests.e2e.conftest import Portal

    seen, portal = Measured(disk), Portal(disk / "data")
    portal.start(
        DISK_FLOOR_BYTES=str(FLOOR),
        TMPDIR=str(disk / "tmp"),
        SQLITE_WAIT_SECONDS="60",
    )
    try:
        writers = Writers(portal, seen)
        deadline = time.monotonic() + seconds

        def again_and_again(kind: str, number: int) -> None:
            count = 0
            while time.monotonic() < deadline:
                count += 1
                name = f"{kind.replace(' ', '-')}-{number}-{count}"
                try:
                    seen.answers[kind][writers.write(kind, number, name)] += 1
                except Exception as exc:  # noqa: BLE001 - it is printed
                    seen.answers[kind][f"{type(exc).__name__}: {exc}"[:200]] += 1
                connections.close_all()

        watcher = threading.Thread(target=seen.watch)
        watcher.start()
        threads = [
            threading.Thread(target=again_and_again, args=(kind, number))
            for kind, count in WRITERS.items()
            for number in range(count)
        ]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            compare_and_delete(seen, writers.source.pk)
            time.sleep(0.2)
        compare_and_delete(seen, writers.source.pk)
        seen.is_over.set()
        watcher.join()
    finally:
        portal.stop()
    for name in ("portal.sqlite3", "engine/engine.sqlite3"):
        with closing(sqlite3.connect(disk / "data" / name)) as database:
            if (result := database.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                seen.damaged.append(f"{name}: {result}")
    return report(seen)


def report(seen: Measured) -> int:
    for kind, answers in seen.answers.items():
        say(f"{kind:18} " + ", ".join(f"{count} x {answer}" for answer, count in answers.most_common()))
    say(f"compared: {seen.compared} files; damaged: {seen.damaged or 'none'}")
    holds = seen.least >= FLOOR
    say(
        f"least free space: {seen.least / MB:.1f} MB of {FLOOR / MB:.0f} MB: {'holds' if holds else 'BROKEN'}"
    )
    return 0 if holds and not seen.damaged else 1


if __name__ == "__main__":
    if len(sys.argv) == 3:
        sys.exit(measure(float(sys.argv[1]), Path(sys.argv[2])))
    sys.exit(main(sys.argv[1:]))
