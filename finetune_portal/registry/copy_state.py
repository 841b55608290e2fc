"""Where the copy of a job's model file is, in words: what pages show in place of Ready until it is here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.registry.models import ModelFile


@dataclass(frozen=True)
class CopyState:
    """`key` is the state by which scripts know the badge, `tone` a colour of tokens.css.

    `why`: why the copy is not here, in sentences; the row of a job shows `reason` of them. `percent` is None
    while the size is not known.
    """

    key: str
    label: str
    tone: str
    icon: str
    percent: int | None = None
    why: str = ""
    reason: str = ""
    next_try_at: datetime | None = None

    @property
    def is_under_way(self) -> bool:
        return self.key == "copying"


def copy_state(job: Job) -> CopyState | None:
    """None where the copy is here, was never asked for, or the provider names no file of the job yet."""
    if job.state != State.READY or job.file_kept_at or not job.cloud_storage_url:
        return None
    if job.file_check_requested_at is None:
        if not job.file_error:
            return None
        return CopyState("ready", "Not copied home", "warn", "alert", why=job.file_error)
    file = weights_of(job)
    if file is None or file.state != ModelFile.State.WANTED:
        return CopyState("copying", "Copying home", "moving", "turn")
    return _of_wanted(file)


def _of_wanted(file: ModelFile) -> CopyState:
    if file.waits_for_room:
        why = f"The copy of the model file waits. {file.error}"
        return CopyState("copying", "Waits for room on the disk", "warn", "clock", why=why)
    if file.error:
        why = f"The model file could not be copied home. {file.error}"
        return CopyState(
            "copying", "Not copied home yet", "warn", "clock", None, why, file.error, file.due_at
        )
    percent = file.percent
    label = "Copying home" if percent is None else f"Copying home, {percent}\N{NO-BREAK SPACE}%"
    return CopyState("copying", label, "moving", "turn", percent)


def weights_of(job: Job) -> ModelFile | None:
    """The row of the final weights, from what was read together with the job where that was done."""
    model = getattr(job, "model", None)
    files = model.files.all() if model else []
    return next((file for file in files if file.kind == ModelFile.Kind.WEIGHTS and file.step is None), None)
