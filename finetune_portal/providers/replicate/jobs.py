"""Follow a job: its state, its log, and the wish to cancel it (docs/provider-replicate.md, 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finetune_portal.providers.contract import Cancelled, Handle, LogLine, Phase, Snapshot
from finetune_portal.providers.errors import GoneError
from finetune_portal.providers.http.exchange import LARGE
from finetune_portal.providers.http.reasons import log_text, quoted, without_secrets
from finetune_portal.providers.http.refusals import About
from finetune_portal.providers.http.values import capped, text, truth
from finetune_portal.providers.replicate.client import Client
from finetune_portal.providers.replicate.results import files_in

PHASES = {
    "starting": Phase.REQUESTED,
    "processing": Phase.TRAINING,
    "succeeded": Phase.AVAILABLE,
    "failed": Phase.FAILED,
    "canceled": Phase.CANCELLED,
    "aborted": Phase.FAILED,
}
ENDED = (Phase.AVAILABLE, Phase.FAILED, Phase.CANCELLED)
SENTENCES = {
    "failed": "The job failed at Replicate.",
    "canceled": "It was cancelled.",
    "aborted": "Replicate did not start it in time.",
}
NO_WEIGHTS = "Replicate says that the training is finished, but its result names no file of weights."
DELETED = "Replicate has deleted the result of this job, as it does an hour after the end."
# In what is kept of a job: the log is long, and the other two have addresses that are secrets.
NOT_KEPT = ("logs", "input", "webhook")


class Jobs:
    """Calls about one job. Each may raise a CallError, which says nothing about the end of the job."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def fetch(self, handle: Handle) -> dict[str, Any]:
        """The object of a job."""
        return self._client.call("GET", handle.addresses["get"], cap=LARGE, about=About.JOB).json()

    def poll(self, handle: Handle) -> Snapshot:
        """Raise GoneError also for a job whose result Replicate has deleted."""
        payload = self.fetch(handle)
        status = text(payload.get("status"))
        phase = PHASES.get(status, Phase.UNKNOWN)
        files = files_in(payload) if phase is Phase.AVAILABLE else ()
        error = self.failure_of(payload) if phase in (Phase.FAILED, Phase.CANCELLED) else ""
        if phase is Phase.AVAILABLE and not files:
            if truth(payload.get("data_removed")):
                raise GoneError(DELETED)
            phase, error = Phase.FAILED, NO_WEIGHTS
        raw = capped({name: value for name, value in payload.items() if name not in NOT_KEPT})
        return Snapshot(handle, phase, status, error=error, files=files, raw=raw)

    def failure_of(self, payload: Mapping[str, Any]) -> str:
        """Why a job ended badly, in a sentence and Replicate's own words."""
        sentence = SENTENCES.get(text(payload.get("status")), SENTENCES["failed"])
        reason = without_secrets(text(payload.get("error")), self._client.key)
        return f"{sentence}{quoted(reason)}"

    def logs(self, handle: Handle) -> list[LogLine]:
        """The log, of each line what a terminal would show at its end."""
        log = self.fetch(handle).get("logs")
        lines = log.split("\n") if isinstance(log, str) else []
        texts = (log_text(line.rstrip("\r").rpartition("\r")[2], self._client.key) for line in lines)
        return [LogLine(each) for each in texts if each]

    def cancel(self, handle: Handle) -> Cancelled:
        """Look at the job first: what a cancel answers after its end is not known."""
        if PHASES.get(text(self.fetch(handle).get("status"))) in ENDED:
            return Cancelled.TOO_LATE
        answer = self._client.call("POST", handle.addresses["cancel"], cap=LARGE, about=About.JOB)
        payload = answer.json()
        is_cancelled = PHASES.get(text(payload.get("status"))) is Phase.CANCELLED
        return Cancelled.REMOVED if is_cancelled and not payload.get("started_at") else Cancelled.REQUESTED
