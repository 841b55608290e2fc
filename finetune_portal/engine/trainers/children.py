"""Child processes, which have torch while the engine has not: start them, read their events, kill them.

A child gets one argument. It reports by lines of JSON on standard output, and exits at once when standard
input ends, because then the engine is gone. The last functions here are the child's side of that.
"""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from finetune_portal import env

PACKAGE = "finetune_portal.engine.trainers"
# The variables a child gets, by their first letters. No key of the engine is among them.
PASSED_VARIABLES = (
    "PATH",
    "HOME",
    "LANG",
    "LC_",
    "TMPDIR",
    "DATA_DIR",  # with the next one: on whose disk room is taken, and how much stays free
    "DISK_FLOOR_BYTES",
    "VIRTUAL_ENV",
    "LD_",
    "CUDA",
    "NVIDIA_",
    "OMP_",
    "GOMP_",
    "PYTORCH_",
    "RAY_",
)
NICENESS = 10  # of a child, so that the portal stays quick on a machine whose cores are all at work
SIGNALLED = 128  # plus a signal: the exit code of a child that reports how another process ended
LINE_CHARACTERS = 300
LINE_BYTES = 1000  # read from the end of a log for each line that is shown
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")  # colours, and what is no text
_TIME = re.compile(r"\d\d:\d\d:\d\d ")
Child = subprocess.Popen[bytes]
Event = dict[str, Any]
Events = queue.SimpleQueue[Event | None]


def environment(device: str) -> dict[str, str]:
    """The variables of a child on this device. What the operator set for its threads counts."""
    passed = {name: value for name, value in env.whole().items() if name.startswith(PASSED_VARIABLES)}
    # One core stays free, and threads that wait sleep: spinning, they make each other and all else slow.
    threads = {"OMP_NUM_THREADS": str(max(1, _cores() - 1)), "OMP_WAIT_POLICY": "PASSIVE"}
    own = {"CUDA_VISIBLE_DEVICES": device, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**threads, **passed, **own}


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start(
    module: str,
    argument: Path,
    *,
    device: str,
    log: Path,
    processes: int = 1,
    variables: Mapping[str, str] | None = None,
) -> Child:
    """Run `python -m PACKAGE.module argument` on this device; its standard error goes to `log`.

    `variables` add to or replace those of `environment`. torchrun starts several processes together, one a
    GPU. They share the pipes.
    """
    count = f"--nproc-per-node={processes}"
    torchrun = ["torch.distributed.run", "--standalone", count, "--module"] if processes > 1 else []
    with log.open("ab") as file:
        return subprocess.Popen(  # nosec B603  # our own module and folder
            [sys.executable, "-m", *torchrun, f"{PACKAGE}.{module}", str(argument)],
            cwd=env.ROOT,
            env={**environment(device), **(variables or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            start_new_session=True,
        )


def read_events(child: Child) -> Events:
    """The child's events, as they come; None at its end."""
    events: Events = queue.SimpleQueue()
    threading.Thread(target=_read, args=(child.stdout, events), daemon=True).start()
    return events


def failure_message(event: Event) -> str:
    """Why a child failed. A child of version 1 calls the field `says`."""
    return str(event.get("message") or event.get("says") or "")


def kill(child: Child) -> None:
    """End the child and all that it started, whatever they are doing."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate()


def log_lines(log: Path, count: int) -> list[str]:
    """The last lines of a log, at most `count`; of a progress bar, only its last state."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - count * LINE_BYTES))
            tail = file.read()
    except OSError:
        return []
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in tail.decode("utf-8", "replace").split("\n"))
    plain = (_CONTROL.sub("", line).rstrip() for line in lines)
    return [line[:LINE_CHARACTERS] for line in plain if line.strip(" =-")][-count:]


def last_log_line(log: Path) -> str:
    """What a library or a traceback wrote last; the trainer's own lines begin with the time."""
    lines = [line.strip() for line in log_lines(log, 50) if not _TIME.match(line)]
    return lines[-1] if lines else "it said nothing"


def refuse_constant(name: str) -> None:
    """Take NaN and Infinity for what they are to other readers of JSON: a fault."""
    raise ValueError(f"{name} is not JSON.")


def emit(event: str, **fields: Any) -> None:
    """In the child: report an event to the process that started it."""
    if stdout := sys.__stdout__:
        stdout.write(json.dumps({"event": event, **fields}, allow_nan=False) + "\n")
        stdout.flush()


def lower_priority() -> None:
    """In the child: let the machine's other work go first."""
    os.nice(NICENESS)


def exit_with_parent() -> None:
    """In the child: exit at once when the process that started it is gone."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    while os.read(0, 1):  # not sys.stdin: a thread that waits in it cannot be left at the end
        pass
    os._exit(1)


def _read(stdout: IO[bytes], events: Events) -> None:
    """Read each line as an event. A line that is not a JSON object is the output of some library."""
    with suppress(ValueError, OSError):  # the pipe was closed while this thread waited
        for line in stdout:
            with suppress(ValueError):
                if isinstance(event := json.loads(line, parse_constant=refuse_constant), dict):
                    events.put(event)
    events.put(None)
