"""What the check of a ZIP costs: `python -m tests.bench.archives`.

Every archive of the corpus goes through the process with limits, one after the other. Prints the slowest and
the hungriest, in seconds of CPU, seconds on the clock and MiB of memory, and what the real file of 4.3 GB and
large pictures cost.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from finetune_portal.datasets.checker.sandbox import LIMITS, ROOT
from tests.datasets.corpus.honest import HONEST
from tests.datasets.corpus.hostile import HOSTILE
from tests.datasets.corpus.zip_builder import packed, picture

Cost = tuple[float, float, float]  # seconds of CPU, seconds on the clock, MiB at the most


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


PROBE = """
import sys
from finetune_portal.datasets.checker.child import run
from finetune_portal.datasets.checker.child.check import check
run(check)
sys.stderr.write(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def cost(path: Path) -> Cost:
    limits = (str(LIMITS.memory), str(LIMITS.cpu), str(LIMITS.output))
    command = [sys.executable, "-c", PROBE, *limits, str(path)]
    before, begun = os.times(), time.monotonic()
    whole = json.dumps({"seen": {}, "seconds": 3600}).encode()  # in one slice
    done = subprocess.run(
        command, cwd=ROOT, env={"PYTHONUTF8": "1"}, input=whole, capture_output=True, check=True
    )
    clock, after = time.monotonic() - begun, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, clock, int(done.stderr.split()[-2]) / 1024


def tell(title: str, costs: dict[str, Cost]) -> None:
    say(f"{title}: {len(costs)}")
    slowest = sorted(costs, key=lambda name: costs[name][0])
    hungriest = sorted(costs, key=lambda name: costs[name][2])
    for word, name in (
        ("median", slowest[len(slowest) // 2]),
        ("slowest", slowest[-1]),
        ("second slowest", slowest[-2]),
        ("hungriest", hungriest[-1]),
    ):
        cpu, clock, memory = costs[name]
        say(f"  {word:14} {cpu:6.2f} s CPU {clock:6.2f} s clock {memory:6.0f} MiB  {name}")


def large(folder: Path) -> dict[str, Path]:
    """Honest files that cost something: many large pictures, and a file of 4.3 GB."""
    photo = picture("JPEG", size=(6_000, 4_000))
    photos = folder / "photos.zip"
    photos.write_bytes(packed({f"{n}_{half}.jpg": photo for n in range(30) for half in ("start", "end")}))
    film = folder / "film.zip"
    with zipfile.ZipFile(film, "w") as archive:
        for half in ("start", "end"):
            archive.writestr(f"1_{half}.png", picture())
        with archive.open("film.bin", "w", force_zip64=True) as file:
            for _ in range(4_300):
                file.write(bytes(1_000_000))
    return {"60 JPEGs of 24 megapixels": photos, "a stored file of 4.3 GB": film}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "dataset.zip")
        for title, corpus in (
            ("hostile", {name: make for name, (make, _) in HOSTILE.items()}),
            ("honest", HONEST),
        ):
            costs = {}
            for name, make in corpus.items():
                path.write_bytes(make())
                costs[name] = cost(path)
            tell(title, costs)
        for name, place in large(Path(folder)).items():
            cpu, clock, memory = cost(place)
            say(f"{name}: {cpu:.2f} s CPU, {clock:.2f} s clock, {memory:.0f} MiB")


if __name__ == "__main__":
    main()
