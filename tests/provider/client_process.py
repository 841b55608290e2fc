"""A provider's official client in a process of its own, driven by lines of JSON."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]


class CallError(Exception):
    """What the client raised: the status of HTTP, what the provider said, and the name of the error."""

    def __init__(self, status: int, detail: Any, name: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status, self.detail, self.name = status, detail, name


@dataclass
class ClientProcess:
    """A running client. Each call is a line with `call` and its arguments, each answer one with `value`."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, *command: str, **environment: str) -> Self:
        """Start it without the proxies of this environment."""
        inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        return cls(
            subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**inherited, **environment},
                text=True,
            )
        )

    def __call__(self, call: str, **fields: Any) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{json.dumps({'call': call, **fields})}\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "value" not in answer:
            raise CallError(**answer)
        return answer["value"]

    def upload(self, content: bytes, times: int = 1, **fields: Any) -> str:
        return str(self("upload", content=base64.b64encode(content).decode(), times=times, **fields))
