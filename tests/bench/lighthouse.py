"""Lighthouse on the table with 50 rows: `python -m tests.bench.lighthouse`. Needs npx and Chromium.

Signed in, from the web process as `manage.py up` starts it, as the phone and the desktop that Lighthouse
plays. Prints the scores, what weighs on them, and the sizes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
from playwright.sync_api import sync_playwright

LIGHTHOUSE = "lighthouse@12"
FOLDER = Path(tempfile.mkdtemp(prefix="bench-lighthouse-"))
SECRET = "a secret that the bench and the process share"
os.environ.update(
    DJANGO_ALLOW_ASYNC_UNSAFE="1",
    DJANGO_SETTINGS_MODULE="finetune_portal.settings",
    DATA_DIR=str(FOLDER / "data"),
    SECRET_KEY=SECRET,
)
django.setup()

from finetune_portal.accounts.models import User  # noqa: E402 - needs the settings
from finetune_portal.jobs.choices import State  # noqa: E402
from tests.cookies import session_cookie  # noqa: E402
from tests.e2e.conftest import CHROMIUM_FLAGS, chromium_path  # noqa: E402
from tests.people import make_dataset, make_job  # noqa: E402
from tests.ports import free_port  # noqa: E402
from tests.web_server import WebServer, session_of  # noqa: E402

CATEGORIES = ("performance", "accessibility", "best-practices")
TIMES = (
    "first-contentful-paint",
    "largest-contentful-paint",
    "total-blocking-time",
    "cumulative-layout-shift",
)


def fill() -> User:
    """50 trainings in many states, of three datasets with pictures."""
    user = User.objects.create_user("ada@example.com", "not used here", name="Ada Lovelace", role="admin")
    datasets = [make_dataset(user, name=name) for name in ("Evening", "Winter", "Neon")]
    for number in range(50):
        state = (State.READY, State.READY, State.FAILED, State.TRAINING)[number % 4]
        fields = {"request_id": str(number), "cloud_storage_url": "https://a.example/b"}
        make_job(user, state, name=f"Training {number}", dataset=datasets[number % 3], **fields)
    return user


@contextmanager
def chromium(url: str, session: str) -> Iterator[int]:
    """A browser that is signed in; answers the port by which Lighthouse steers it."""
    port = free_port()
    flags = [*CHROMIUM_FLAGS, f"--remote-debugging-port={port}"]
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            FOLDER / "chromium", executable_path=chromium_path(), args=flags
        )
        context.add_cookies([{"name": session_cookie(url), "value": session, "url": url}])
        yield port
        context.close()


def measure(url: str, port: int, *, look: str) -> dict[str, Any]:
    """One run of Lighthouse, as JSON."""
    report = FOLDER / f"{look}.json"
    command = ["npx", "--yes", LIGHTHOUSE, f"{url}/", "--quiet", f"--port={port}", "--output=json"]
    command += [f"--output-path={report}", f"--only-categories={','.join(CATEGORIES)}"]
    subprocess.run([*command, *(["--preset=desktop"] if look == "desktop" else [])], check=True)
    return dict(json.loads(report.read_text()))


def tell(look: str, report: dict[str, Any]) -> None:
    audits = report["audits"]
    scores = [f"{name} {100 * report['categories'][name]['score']:.0f}" for name in CATEGORIES]
    say(f"{look:<8} {', '.join(scores)}")
    say(f"{'':<9}" + ", ".join(f"{audits[name]['title']} {audits[name]['displayValue']}" for name in TIMES))
    requests = audits["network-requests"]["details"]["items"]
    size = sum(each["transferSize"] for each in requests)
    say(f"{'':<9}{len(requests)} requests, {size / 1000:.1f} kB")
    weighing = {
        ref["id"] for name in CATEGORIES for ref in report["categories"][name]["auditRefs"] if ref["weight"]
    }
    for name in sorted(weighing):
        if (score := audits[name].get("score")) is not None and score < 0.9:
            say(f"{'':<9}{name}: {audits[name]['title']} {audits[name].get('displayValue', '')}")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    web = WebServer(FOLDER / "data", SECRET).prepare()
    try:
        session = session_of(fill())
        web.start()
        with chromium(web.url, session) as port:
            for look in ("desktop", "mobile"):
                tell(look, measure(web.url, port, look=look))
    finally:
        web.stop()
        shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == "__main__":
    main()
