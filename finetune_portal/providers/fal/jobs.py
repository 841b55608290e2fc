"""Follow a job: its state, its log, its result, and the wish to cancel it (docs/provider-fal.md, 3).

fal has no state for a failure: a job that failed is COMPLETED, and its result answers the error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from finetune_portal.providers.contract import Cancelled, Handle, LogLine, Phase, Snapshot
from finetune_portal.providers.errors import CallError
from finetune_portal.providers.fal.client import Client
from finetune_portal.providers.fal.errors import error_for, failure_of, types_of
from finetune_portal.providers.fal.results import files_in
from finetune_portal.providers.http.answer import Answer
from finetune_portal.providers.http.exchange import LARGE
from finetune_portal.providers.http.reasons import log_text
from finetune_portal.providers.http.refusals import About
from finetune_portal.providers.http.values import capped, text, time_of, whole

PHASES = {"IN_QUEUE": Phase.REQUESTED, "IN_PROGRESS": Phase.TRAINING}
COMPLETED = "COMPLETED"
UNFINISHED = re.compile(r"in progress|not (yet )?(completed|finished|ready)", re.IGNORECASE)
CANCELLED_TYPE, CANCELLED_STATUS = "client_cancelled", 499
# Of a result, these speak of the key, the account, the rate or the storage of results, not of the job.
NOT_OF_THE_JOB = (401, 402, 403, 404, 408, 410, 425, 429)
NO_WEIGHTS = "fal says that the training is finished, but its result names no file of weights."


class Jobs:
    """Calls about one job. Each may raise a CallError, which says nothing about the end of the job."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def poll(self, handle: Handle) -> Snapshot:
        payload = self.status(handle)
        status = text(payload.get("status"))
        if status == COMPLETED:
            return self._ended(handle, payload)
        phase = PHASES.get(status, Phase.UNKNOWN)
        ahead = whole(payload.get("queue_position")) if phase is Phase.REQUESTED else None
        return Snapshot(handle, phase, status, jobs_ahead=ahead, raw=capped(payload))

    def logs(self, handle: Handle) -> list[LogLine]:
        entries = self.status(handle, logs="1").get("logs")
        lines = (self._line(each) for each in (entries if isinstance(entries, list) else ()))
        return [line for line in lines if line.text]

    def cancel(self, handle: Handle) -> Cancelled:
        answer = self._client.ask("PUT", handle.addresses["cancel"])
        if answer.status == 400 and text(answer.fields().get("status")) == "ALREADY_COMPLETED":
            return Cancelled.TOO_LATE
        if not answer.is_ok:
            raise error_for(answer, self._client.keys, About.JOB)
        return Cancelled.REQUESTED if answer.status == 202 else Cancelled.REMOVED

    def result(self, handle: Handle) -> Answer:
        """The answer to the question for the result, whatever its status."""
        return self._client.ask("GET", handle.addresses["result"])

    def status(self, handle: Handle, logs: str = "0") -> dict[str, Any]:
        """What fal says of the job, with the whole log for `logs` 1."""
        url, params = handle.addresses["status"], {"logs": logs}
        return self._client.call("GET", url, params=params, cap=LARGE, about=About.JOB).json()

    def _line(self, entry: Any) -> LogLine:
        fields = entry if isinstance(entry, dict) else {"message": entry}
        words = log_text(str(fields.get("message") or ""), *self._client.keys)
        return LogLine(words, text(fields.get("level")).lower(), time_of(text(fields.get("timestamp"))))

    def _ended(self, handle: Handle, payload: Mapping[str, Any]) -> Snapshot:
        """The end of a job that fal calls COMPLETED; the result is read before anything is said."""
        error, error_type = text(payload.get("error")), text(payload.get("error_type"))
        try:
            answer = self.result(handle)
        except CallError:
            if not error and not error_type:
                raise
            answer = Answer(0, {}, b"")
        has_failed = bool(error or error_type)
        phase = _failed_phase(answer, error_type) if has_failed else self._phase_by_result(answer)
        return self._snapshot(handle, phase, payload, answer)

    def _phase_by_result(self, answer: Answer) -> Phase:
        """The phase by the result alone. Raises what says nothing of the job."""
        if answer.is_ok:
            return Phase.AVAILABLE if files_in(answer.json()) else Phase.FAILED
        if answer.status == 400 and UNFINISHED.search(text(answer.fields().get("detail"))):
            return Phase.TRAINING
        self.check_is_of_the_job(answer)
        return _failed_phase(answer, "")

    def check_is_of_the_job(self, answer: Answer) -> None:
        """Raise the error of a result that speaks of the key, the account or a proxy, not of the job."""
        fields = answer.fields()
        has_reason = bool(fields.get("detail") or fields.get("error_type"))
        if not answer.is_ok and (answer.status in NOT_OF_THE_JOB or not has_reason):
            raise error_for(answer, self._client.keys, About.JOB)

    def _snapshot(self, handle: Handle, phase: Phase, payload: Mapping[str, Any], answer: Answer) -> Snapshot:
        result = answer.fields()
        raw = capped({**{name: value for name, value in payload.items() if name != "logs"}, "result": result})
        error, error_type = text(payload.get("error")), text(payload.get("error_type"))
        words = ""
        if phase is Phase.FAILED and answer.is_ok and not error and not error_type:
            words = NO_WEIGHTS
        elif phase in (Phase.FAILED, Phase.CANCELLED):
            words = failure_of(answer.content, error, error_type, self._client.keys)
        files = files_in(result) if phase is Phase.AVAILABLE else ()
        return Snapshot(handle, phase, COMPLETED, error=words, files=files, raw=raw)


def _failed_phase(answer: Answer, error_type: str) -> Phase:
    kinds = {error_type, answer.headers.get("x-fal-error-type", ""), *types_of(answer.fields())}
    is_cancelled = answer.status == CANCELLED_STATUS or CANCELLED_TYPE in kinds
    return Phase.CANCELLED if is_cancelled else Phase.FAILED
