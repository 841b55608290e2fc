"""Train what FOLDER/request.json asks for: `python -m finetune_portal.engine.trainers.lora FOLDER`.

Reports by lines of JSON on standard output, and ends at once when standard input does, because then the
engine is gone.
"""

from __future__ import annotations

import fcntl
import json
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from finetune_portal import env
from finetune_portal.engine.datasets import DatasetError
from finetune_portal.engine.trainers.children import emit, exit_with_parent, lower_priority
from finetune_portal.engine.trainers.families.family import MissingPackageError, is_out_of_memory
from finetune_portal.engine.trainers.lora.distributed import join_process_group
from finetune_portal.engine.trainers.lora.training import DivergedError, Training
from finetune_portal.engine.trainers.parameters import MEMORY_ADVICE

LOGGED_STEPS = 10  # a line in the log each


def main(work: Path) -> int:
    exit_with_parent()
    lower_priority()
    # For engine/room.py; the variables are those of the engine, or of its node (on_ray/node.py).
    settings.configure(ROOM_LOCK=env.data_dir() / env.ROOM_LOCK, DISK_FLOOR_BYTES=env.disk_floor())
    group = join_process_group()
    with (work / "lock").open("w") as lock:
        if group.is_first:  # a child that a killed engine left behind ends within a moment
            fcntl.flock(lock, fcntl.LOCK_EX)
        group.barrier()
        request = json.loads((work / "request.json").read_text(encoding="utf-8"))
        try:
            Training(work, request, _report, group).run()
        except (DatasetError, DivergedError, MissingPackageError) as error:
            return _fail(str(error))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return _fail(f"Memory ran out. {MEMORY_ADVICE}")
    group.destroy()
    return 0


def _report(event: str, **fields: Any) -> None:
    """Emit the event, and write it into the log for people, among what the libraries write there."""
    emit(event, **fields)
    if text := _log_text(event, fields):
        with suppress(OSError):  # the disk is full
            sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
            sys.stderr.flush()


def _log_text(event: str, fields: dict[str, Any]) -> str:
    match event:
        case "phase":
            return f"{fields['phase']}."
        case "step" if fields["step"] % LOGGED_STEPS == 0 or fields["step"] == fields["steps"]:
            return f"Step {fields['step']} of {fields['steps']}: loss {fields['loss']:.4f}."
        case "held_out":
            losses = f"{fields['loss']:.4f}, weighted as in a sample {fields['weighted_loss']:.4f}"
            return f"Step {fields['step']}: loss on the held-out pair {losses}."
        case "checkpoint":
            return f"Checkpoint at step {fields['step']}."
        case "failed" | "no_room":
            return str(fields["message"])
    return ""


def _fail(message: str) -> int:
    _report("failed", message=message)
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
