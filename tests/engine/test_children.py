"""The JSON lines of a child process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from finetune_portal.engine.trainers import children
from tests.running import ROOT

CHILD = """
print("some library talks")
print("[1, 2]")
print('{"event": "step", "step": 1, "loss": NaN}')
from finetune_portal.engine.trainers.children import emit
emit("step", step=1, loss=0.5)
emit("failed", message="Memory ran out.")
"""


def test_events_are_the_json_objects_among_the_lines() -> None:
    command = [sys.executable, "-c", CHILD]
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    events = children.read_events(child)
    assert events.get(timeout=30) == {"event": "step", "step": 1, "loss": 0.5}
    assert events.get(timeout=30) == {"event": "failed", "message": "Memory ran out."}
    assert events.get(timeout=30) is None
    child.communicate()


@pytest.mark.parametrize("field", ["message", "says"])
def test_the_reason_of_a_failure_is_read_from_a_child_of_this_and_of_the_last_version(field: str) -> None:
    assert children.failure_message({"event": "failed", field: "Memory ran out."}) == "Memory ran out."
    assert children.failure_message({"event": "step", "loss": 0.5}) == ""


def test_a_child_leaves_one_core_free_and_does_not_spin() -> None:
    variables = children.environment("")
    assert int(variables["OMP_NUM_THREADS"]) == max(1, len(os.sched_getaffinity(0)) - 1)
    assert variables["OMP_WAIT_POLICY"] == "PASSIVE"


def test_a_child_takes_room_on_the_disk_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", "/srv/portal")
    monkeypatch.setenv("DISK_FLOOR_BYTES", "7000")
    variables = children.environment("")
    assert (variables["DATA_DIR"], variables["DISK_FLOOR_BYTES"]) == ("/srv/portal", "7000")


def test_what_the_operator_set_for_its_threads_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert children.environment("")["OMP_NUM_THREADS"] == "7"


def test_the_end_of_a_log_is_read_as_people_see_it(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert children.log_lines(log, 3) == []
    assert children.last_log_line(log) == "it said nothing"
    log.write_bytes(
        b"first\n" * 5000 + b"Loading:  10%|#   |\rLoading: 100%|####|\n\x1b[31mred\x1b[0m\x00\n====\n\n"
        b"OSError: no file\n10:20:30 Step 3 of 9: loss 0.5.\n"
    )
    assert children.log_lines(log, 4) == [
        "Loading: 100%|####|",
        "red",
        "OSError: no file",
        "10:20:30 Step 3 of 9: loss 0.5.",
    ]
    assert children.last_log_line(log) == "OSError: no file"
