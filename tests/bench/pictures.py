"""Huge pictures asked for at once: `python -m tests.bench.pictures [edge]`.

A dataset of 12 pairs of 7060 x 7060 RGBA PNGs is checked by the worker. Then all 24 previews are asked for at
once, and then 50 posts to the playground, each with a picture of that size, are sent at once by seven people.
A request that is refused for now is repeated, as a browser does. Prints by how much the web processes grew,
what the children that decode took, how long another page took meanwhile, and whether all was shown in the
end.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import django
import requests

DATA = Path(tempfile.mkdtemp(prefix="bench-pictures-")) / "data"
SECRET = "a secret that the bench and the process share"
os.environ.update(DJANGO_SETTINGS_MODULE="finetune_portal.settings", DATA_DIR=str(DATA), SECRET_KEY=SECRET)
django.setup()

from django.conf import settings  # noqa: E402 - needs the settings
from django.utils.timezone import now  # noqa: E402

from finetune_portal.accounts.models import User  # noqa: E402
from finetune_portal.datasets.models import Dataset  # noqa: E402
from finetune_portal.jobs.models import Job  # noqa: E402
from finetune_portal.playground.models import Generation  # noqa: E402
from tests.bench.live import children, say  # noqa: E402
from tests.cookies import csrf_cookie, session_cookie  # noqa: E402
from tests.datasets.uploads import upload  # noqa: E402
from tests.people import make_job  # noqa: E402
from tests.pictures import commented, transparent_png  # noqa: E402
from tests.provider import ScriptedProvider  # noqa: E402
from tests.running import ROOT  # noqa: E402
from tests.waiting import until  # noqa: E402
from tests.web_server import WebServer, session_of  # noqa: E402
from tests.worker.driving import point_at  # noqa: E402

EDGE = int(sys.argv[1]) if len(sys.argv) > 1 else 7060
PAIRS, POSTS, PEOPLE = 12, 50, 7
PATIENCE = 600.0  # seconds for everything to be shown
MEBIBYTE = 1024**2


def resident(pids: list[str]) -> int:
    """Bytes of memory that the processes hold, what they share counted once in each."""
    pages = 0
    for pid in pids:
        with suppress(OSError):
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def decoding() -> list[str]:
    """The children that decode pictures now, of all processes of this bench."""
    pids = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_child = b"checker.child." in (entry / "cmdline").read_bytes()
            pids += [entry.name] if is_child and (entry / "cwd").resolve() == ROOT else []
    return pids


class Browser:
    """One person's session."""

    def __init__(self, web: WebServer, user: User) -> None:
        self.url, self.session = web.url, requests.Session()
        self.session.cookies.set(session_cookie(web.url), session_of(user))
        self.session.headers.update(Referer=web.url, Connection="close")  # none is idle for minutes
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=POSTS)
        self.session.mount("http://", adapter)
        self.get("/datasets/")
        self.token = self.session.cookies[csrf_cookie(web.url)]

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.url + path, timeout=PATIENCE)

    def picture(self, path: str) -> str:
        """Ask for the picture until it is shown; what became of it."""
        return patiently(lambda: self.get(path), lambda answer: answer.headers.get("Content-Type", ""))

    def run(self, job: Job, png: bytes) -> str:
        """Run the model of the job with a picture of one's own; what became of it."""
        fields = {"form_key": str(uuid.uuid4()), "prompt": "night", "strength": "1", "seed": "7"}
        fields |= {"steps": "28", "guidance": "2.5", "csrfmiddlewaretoken": self.token}
        headers = {"HX-Request": "true"}

        def post() -> requests.Response:
            return self.session.post(
                f"{self.url}/jobs/{job.pk}/try/",
                data=fields,
                files={"file": ("huge.png", png)},
                headers=headers,
                timeout=PATIENCE,
            )

        return patiently(post, said)


def said(answer: requests.Response) -> str:
    """The status, and the sentence at the field of the picture or above the page if there is one."""
    sentence = re.search(
        r'(?:id="id_file_error">|class="message error".*?<span>)([^<]+)', answer.text, re.DOTALL
    )
    return f"{answer.status_code} {sentence[1] if sentence else ''}".strip()


def patiently(ask: Callable[[], requests.Response], outcome: Callable[[requests.Response], str]) -> str:
    """Ask again while the portal says that it takes a while."""
    latest = time.monotonic() + PATIENCE
    while (answer := ask()).status_code in (202, 503) and time.monotonic() < latest:
        time.sleep(float(answer.headers.get("Retry-After", 1)))
    return outcome(answer)


@contextmanager
def watched(web: WebServer, browser: Browser, what: str) -> Iterator[None]:
    """Print what the block cost the web processes and whoever looks at another page."""
    assert web.process
    pids, over = children(web.process.pid), threading.Event()
    before, sizes, inner, waits = resident(pids), [0], [(0, 0)], [0.0]

    def weigh() -> None:
        while not over.wait(0.05):
            sizes.append(resident(pids))
            children_now = decoding()
            inner.append((len(children_now), resident(children_now)))

    def look() -> None:
        while not over.wait(0.2):
            began = time.monotonic()
            browser.get("/datasets/")
            waits.append(time.monotonic() - began)

    threads = [threading.Thread(target=each) for each in (weigh, look)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    try:
        yield
    finally:
        took = time.monotonic() - began
        over.set()
        for thread in threads:
            thread.join()
        grown = (max(sizes) - before) / MEBIBYTE
        late = sum(wait > 1 for wait in waits)
        say(
            f"{what}: {took:.0f} s; web {before / MEBIBYTE:.0f} MiB, grew by {grown:.0f} MiB;"
            f" at most {max(count for count, _ in inner)} children with"
            f" {max(size for _, size in inner) / MEBIBYTE:.0f} MiB;"
            f" another page took {max(waits):.2f} s at most, {late} of {len(waits) - 1} over 1 s;"
            f" load {os.getloadavg()[0]:.1f}"
        )


def uploaded(owner: User, png: bytes) -> Dataset:
    path = DATA.parent / "huge.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(PAIRS):
            for half, offset in (("start", 0), ("end", PAIRS)):
                archive.writestr(f"{number:02}_{half}.png", commented(png, str(number + offset)))
            archive.writestr(f"{number:02}.txt", "night")
    content = path.read_bytes()
    return upload(owner, content, "huge.zip")


def measure(web: WebServer, provider: ScriptedProvider) -> None:
    users = [
        User.objects.create_user(f"{n}@example.com", "not used here", name=f"Maker {n}", role="maker")
        for n in range(PEOPLE)
    ]
    browsers = [Browser(web, user) for user in users]
    png = transparent_png(EDGE)
    dataset = uploaded(users[0], png)
    began = time.monotonic()
    until(lambda: not Dataset.objects.filter(state="checking").exists(), seconds=PATIENCE, why="the check")
    dataset.refresh_from_db()
    assert dataset.state == Dataset.State.READY, dataset.problems
    say(f"{dataset.size / 1000:.0f} kB checked in {time.monotonic() - began:.0f} s")
    shown: Any
    paths = [
        f"/datasets/{dataset.pk}/{n}-{half}-small.webp" for n in range(PAIRS) for half in ("start", "end")
    ]
    with watched(web, browsers[0], "24 previews"), ThreadPoolExecutor(len(paths)) as pool:
        shown = Counter(pool.map(browsers[0].picture, paths))
    say(f"  shown: {dict(shown)}")
    job = make_job(users[0], "ready", request_id="r-1", slug="0f0a-night", ended_at=now())
    pictures = [commented(png, f"post {number}") for number in range(POSTS)]
    with watched(web, browsers[0], "50 posts"), ThreadPoolExecutor(POSTS) as pool:
        posts = [pool.submit(browsers[n % PEOPLE].run, job, each) for n, each in enumerate(pictures)]
        shown = Counter(post.result() for post in posts)
    say(f"  answers: {dict(shown)}")
    until(
        lambda: not Generation.objects.filter(state__in=("queued", "running")).exists(),
        seconds=PATIENCE,
        why="the runs",
    )
    results = [f"/try/runs/{each.pk}/large.webp" for each in Generation.objects.all()]
    with watched(web, browsers[0], "their results"), ThreadPoolExecutor(24) as pool:
        shown = Counter(pool.map(browsers[0].picture, results))
    say(f"  shown: {dict(shown)}")


def main() -> None:
    with ScriptedProvider() as provider:
        settings.LOCAL_ENGINE = False
        point_at(settings, provider)
        environment = {"SEGMIND_BASE_URL": provider.url, "SEGMIND_API_KEY": provider.key}
        web = WebServer(DATA, SECRET, environment=environment).prepare().start()
        worker = subprocess.Popen([sys.executable, "manage.py", "work"], cwd=ROOT, env=web.variables)
        try:
            measure(web, provider)
        finally:
            worker.terminate()
            worker.wait()
            web.stop()
            shutil.rmtree(DATA.parent)


if __name__ == "__main__":
    main()
