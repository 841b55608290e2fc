"""Child processes that have torch, which this process has not: how they are started, heard and ended,
and how they in turn tell and know that it is time to end.

They know nothing of the engine but their one argument, tell it all by lines of JSON on standard output, and
end at once when standard input does, because then the engine is gone.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from finetune_portal import env

PACKAGE = "finetune_portal.engine.trainers"
# What of the environment the child gets: no key of the engine is among it.
HANDED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_",
    "TMPDIR",
    "VIRTUAL_ENV",
    "LD_",
    "CUDA",
    "NVIDIA_",
    "OMP_",
    "PYTORCH_",
    "RAY_",
)
SIGNALLED = 128  # and a signal: the exit code of a child that tells how another one ended
Child = subprocess.Popen[bytes]
Event = dict[str, Any]
Events = queue.SimpleQueue[Event | None]


def environment(device: str) -> dict[str, str]:
    kept = {name: value for name, value in env.whole().items() if name.startswith(HANDED_ON)}
    return kept | {"CUDA_VISIBLE_DEVICES": device, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def start(module: str, argument: Path, *, device: str, log: Path, processes: int = 1) -> Child:
    """`python -m PACKAGE.module argument`, with this device alone; what its libraries say goes to `log`.

    Several processes are started together by torchrun, one a GPU; they share what is said here.
    """
    count = f"--nproc-per-node={processes}"
    together = ["torch.distributed.run", "--standalone", count, "--module"] if processes > 1 else []
    with log.open("ab") as file:
        return subprocess.Popen(  # nosec B603  # our own module and folder
            [sys.executable, "-m", *together, f"{PACKAGE}.{module}", str(argument)],
            cwd=env.ROOT,
            env=environment(device),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            start_new_session=True,
        )


def events(child: Child) -> Events:
    """What the child tells, as it comes; None at its end."""
    told: Events = queue.SimpleQueue()
    threading.Thread(target=_read, args=(child.stdout, told), daemon=True).start()
    return told


def end(child: Child) -> None:
    """Whatever it is at."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate()


def last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    words = [line.strip() for line in lines if line.strip(" =-")]
    return words[-1][:300] if words else "it said nothing"


def tell(event: str, **told: Any) -> None:
    """In the child: say this to who started it."""
    if stdout := sys.__stdout__:
        stdout.write(json.dumps({"event": event, **told}) + "\n")
        stdout.flush()


def end_with_the_engine() -> None:
    """In the child: see to it that it ends at once when who started it is gone."""
    threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    while os.read(0, 1):  # not sys.stdin: a thread that waits in it cannot be left at the end
        pass
    os._exit(1)


def _read(stdout: IO[bytes], told: Events) -> None:
    """Each line of the child as an event; what is no JSON is some library's chatter."""
    with suppress(ValueError, OSError):  # the pipe was closed while we waited
        for line in stdout:
            with suppress(ValueError):
                if isinstance(event := json.loads(line), dict):
                    told.put(event)
    told.put(None)
