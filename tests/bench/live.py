"""How the live table carries viewers: `python -m tests.bench.live [viewers ...]`, 500 and 1000 by default.

Ten commits a second for 20 s, seen by so many open streams; then the same with so many viewers who ask for
the table's piece every 2 s. Both run against the real web and worker processes and a counting provider; the
viewers live in one process of their own. Prints the milliseconds from just before a commit to its receipt,
what was missed, and what it cost.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import django

DATA = Path(os.environ.get("BENCH_DATA") or tempfile.mkdtemp(prefix="bench-live-"))  # the viewers' too
SECRET = "a secret that the bench and the process share"
os.environ.update(
    BENCH_DATA=str(DATA),
    DJANGO_SETTINGS_MODULE="finetune_portal.settings",
    DATA_DIR=str(DATA),
    SECRET_KEY=SECRET,
)
django.setup()

from django.utils.timezone import now  # noqa: E402 - needs the settings

from finetune_portal.accounts.models import User  # noqa: E402
from finetune_portal.jobs.models import Job  # noqa: E402
from tests.bench.viewers import watch  # noqa: E402
from tests.people import make_job  # noqa: E402
from tests.provider import ScriptedProvider  # noqa: E402
from tests.running import ROOT  # noqa: E402
from tests.web_server import WebServer, session_of  # noqa: E402

SECONDS, CHANGES, ROWS = 20.0, 10, 50
LAST = 5.0  # how long the last change may take to arrive before it counts as missed


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def cpu(pids: list[str]) -> float:
    fields = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def megabytes(pids: list[str]) -> float:
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def write(first: int, jobs: list[int]) -> dict[int, float]:
    """Commit at an even pace; when each commit was about to be made."""
    began, sent = time.monotonic(), {}
    for number in range(first, first + int(SECONDS * CHANGES)):
        time.sleep(max(0.0, began + (number - first) / CHANGES - time.monotonic()))
        sent[number] = time.monotonic()
        row = Job.objects.filter(pk=jobs[number % len(jobs)])
        row.update(name=f"change {number}", updated_at=now())
    return sent


def run(
    way: str, web: WebServer, provider: ScriptedProvider, sessions: list[str], jobs: list[int], first: int
) -> None:
    assert web.process
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    viewers = context.Process(target=watch, args=(way, web.port, sessions, there))
    viewers.start()
    here.recv()
    pids = children(web.process.pid)
    used, asked, began = cpu(pids), len(provider.requests), time.monotonic()
    sent = write(first, jobs)
    took, calls = time.monotonic() - began, len(provider.requests) - asked
    used, size = cpu(pids) - used, megabytes(pids)
    time.sleep(LAST)
    here.send("enough")
    seen_by_viewers = here.recv()
    viewers.join()
    late = [seen[number] - at for seen, _ in seen_by_viewers for number, at in sent.items() if number in seen]
    cuts = statistics.quantiles(late, n=100) if len(late) > 1 else [0.0] * 99
    p50, p95, p99 = (f"{1000 * cuts[n - 1]:6.0f}" for n in (50, 95, 99))
    missed, faults = len(seen_by_viewers) * len(sent) - len(late), sum(fault for _, fault in seen_by_viewers)
    say(
        f"{len(sessions):>7} {way:<7} {p50} {p95} {p99} {missed:>8} {faults:>7}"
        f" {100 * used / took:>5.0f} {size:>8.0f} {calls / took:>10.2f} {os.getloadavg()[0]:>6.1f}"
    )


def main() -> None:
    counts = [int(text) for text in sys.argv[1:]] or [500, 1000]
    with ScriptedProvider() as provider:
        environment = {"SEGMIND_BASE_URL": provider.url, "SEGMIND_API_KEY": provider.key}
        web = WebServer(DATA, SECRET, environment=environment).prepare().start()
        worker = subprocess.Popen([sys.executable, "manage.py", "work"], cwd=ROOT, env=web.variables)
        try:
            measure(web, provider, counts)
        finally:
            worker.terminate()
            worker.wait()
            web.stop()
            shutil.rmtree(DATA)


def measure(web: WebServer, provider: ScriptedProvider, counts: list[int]) -> None:
    names = [f"viewer{number}@example.com" for number in range(max(counts))]
    users = User.objects.bulk_create(User(email=name, name=name, password="!") for name in names)
    sessions = [session_of(user) for user in users]
    jobs = [make_job(users[0], "ready", name="change -").pk for _ in range(ROWS)]
    say(
        f"{CHANGES} changes/s for {SECONDS:.0f} s, {os.cpu_count()} cores shared with the viewers."
        " CPU in % of one core, both web processes.\n"
        "viewers way        p50    p95    p99   missed  faults   cpu   rss MB provider/s   load"
    )
    first = 0
    for count in [1, *counts]:
        for way in ("stream", "poll"):
            run(way, web, provider, sessions[:count], jobs, first)
            first += int(SECONDS * CHANGES)


if __name__ == "__main__":
    main()
