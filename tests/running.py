"""Starts the real engine as its own process, for tests that need a provider on a socket."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from tests.ports import free_port
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parent.parent
KEY = "a-key-for-tests"
START_SECONDS = 120.0 * PATIENCE
STOP_SECONDS = 30.0 * PATIENCE


@dataclass
class RunningEngine:
    """An engine on one port and one folder; it can be stopped, killed and started again."""

    data_dir: Path
    port: int
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        return self.environment["ENGINE_API_KEY"]

    @property
    def headers(self) -> dict[str, str]:
        return {"x-api-key": self.key}

    @property
    def log(self) -> str:
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    @property
    def _log_path(self) -> Path:
        return self.data_dir / "engine.log"

    def start(self) -> None:
        """Start, and return once it answers."""
        assert self.process is None, "it runs already"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "finetune_portal.engine"],
                cwd=ROOT,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        latest = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > latest:
                self.kill()
                raise AssertionError(f"The engine did not start:\n{self.log}")
            time.sleep(0.05)

    def stop(self, *, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to stop, as a supervisor does."""
        if self.process:
            self.process.send_signal(with_signal)
            self._gone()

    def kill(self) -> None:
        """End every process of it at once, as a power cut does."""
        if self.process:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            self._gone()

    def _gone(self) -> None:
        assert self.process
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(STOP_SECONDS)
            raise AssertionError("The engine did not stop in time.") from None
        finally:
            self.process = None

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False


@contextmanager
def start_engine(data_dir: Path, **environment: str) -> Iterator[RunningEngine]:
    """A running engine, fifty times as fast as usual; `environment` adds to or replaces its variables."""
    port = free_port()
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ}
    engine = RunningEngine(
        data_dir,
        port,
        kept
        | {
            "DATA_DIR": str(data_dir),
            "ENGINE_PORT": str(port),
            "ENGINE_API_KEY": KEY,
            "ENGINE_TIME_SCALE": "0.02",
        }
        | environment,
    )
    engine.start()
    try:
        yield engine
    finally:
        engine.kill()
