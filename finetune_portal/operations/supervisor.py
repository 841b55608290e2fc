"""Run web, worker and engine as children: prefixed output, restart after a crash, a clean stop.

On Linux the children die with the supervisor, even when it is killed with -9.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from finetune_portal.worker.stop_signals import stop_event

STOP_SECONDS = 8.0
CRASHES, WITHIN = 5, 60.0
# Long, as a machine that is busy with a training answers late.
ASK_SECONDS, PATIENCE = 5.0, 120.0
COLOURS = {"web": "36", "worker": "33", "engine": "35"}
PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """A supervised program. `crashes` holds the monotonic times of its latest unexpected ends.

    `is_answering` asks it whether it is well; it is killed when it was not for `patience` seconds.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str]
    is_answering: Callable[[], bool] | None = None
    patience: float = PATIENCE
    process: subprocess.Popen[bytes] | None = None
    crashes: deque[float] = field(default_factory=lambda: deque(maxlen=CRASHES))
    answered_at: float = 0.0

    def start(self) -> None:
        self.answered_at = time.monotonic()
        self.process = subprocess.Popen(  # nosec B603  # our own commands
            self.command,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - prctl needs the child itself
        )
        threading.Thread(target=_relay, args=(self.name, self.process.stdout), daemon=True).start()

    def signal(self, number: int) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill_group(self) -> None:
        """Kill what a dead child left behind: its own workers may still hold the port."""
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def can_restart(self) -> bool:
        """Count a crash; return False after CRASHES of them within WITHIN seconds."""
        self.crashes.append(time.monotonic())
        return len(self.crashes) < CRASHES or self.crashes[-1] - self.crashes[0] > WITHIN


def supervise(children: list[Child], *, ready: Callable[[], None]) -> int:
    """Run until a signal arrives or a child keeps crashing. Return the exit status."""
    stop = stop_event()
    for child in children:
        child.start()
    threading.Thread(target=ready, daemon=True).start()
    for child in children:
        if child.is_answering:
            threading.Thread(target=_ask, args=(child, child.is_answering, stop), daemon=True).start()
    try:
        return _watch(children, stop)
    finally:
        _end(children)


def _watch(children: list[Child], stop: threading.Event) -> int:
    while not stop.wait(0.3):
        for child in children:
            if child.is_running:
                continue
            child.kill_group()
            code = child.process.returncode if child.process else None
            if not child.can_restart():
                say("up", f"{child.name} ended {CRASHES} times within a minute (last status {code}).")
                return 1
            say("up", f"{child.name} ended with status {code}; starting it again.")
            if stop.wait(1.0):
                break
            child.start()
    return 0


def _ask(child: Child, is_answering: Callable[[], bool], stop: threading.Event) -> None:
    """Kill a child that runs and does not answer; `_watch` starts it again."""
    while not stop.wait(min(ASK_SECONDS, child.patience / 4)):
        if is_answering():
            child.answered_at = time.monotonic()
        elif child.is_running and time.monotonic() - child.answered_at > child.patience:
            say("up", f"{child.name} has not answered for {child.patience:.0f} s.")
            child.kill_group()
            child.answered_at = time.monotonic()


def _end(children: list[Child]) -> None:
    for child in children:
        child.signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for child in children:
        if child.process:
            try:
                child.process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill_group()
                child.process.wait()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _relay(name: str, output: IO[bytes] | None) -> None:
    for line in output or ():
        say(name, line.decode("utf-8", "replace").rstrip())


def say(name: str, text: str) -> None:
    label = f"{name:<7}"
    if sys.stdout.isatty():
        label = f"\033[{COLOURS.get(name, '1')}m{label}\033[0m"
    sys.stdout.write(f"{label}│ {text}\n")
    sys.stdout.flush()
