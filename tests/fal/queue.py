"""queue.fal.run: submit, status, result, cancel."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from tests.fal.ledger import COMPLETED, RUNNING, WAITING, Job
from tests.fal.request import FalRequest, detail
from tests.fal.trainers import ENDPOINTS
from tests.provider.exchange import Answer, says

if TYPE_CHECKING:
    from tests.fal.server import FakeFal


def app_of(endpoint: str) -> str:
    """Owner and app: the short form that addresses of a job have."""
    parts = endpoint.split("/")
    return "/".join(parts[: 3 if parts[0] in ("workflows", "comfy") else 2])


def addresses(job: Job, request: FalRequest) -> dict[str, str]:
    base = request.address("queue", f"/{app_of(job.endpoint)}/requests/{job.id}")
    return {"response_url": base, "status_url": f"{base}/status", "cancel_url": f"{base}/cancel"}


def submit(fal: FakeFal, request: FalRequest) -> Answer:
    """Take the job. Its input is only looked at when it runs."""
    endpoint = request.path.strip("/")
    if endpoint not in ENDPOINTS or endpoint in fal.closed:
        return detail(404, f"Application '{endpoint}' not found")
    if not isinstance(request.payload, dict):
        return detail(400, "The body is not a JSON object", "bad_request")
    job = fal.add(endpoint, request.payload, request)
    answer: dict[str, object] = {"status": WAITING, "request_id": job.id, **addresses(job, request)}
    answer |= {"queue_position": job.queue_position, "gateway_request_id": str(uuid.uuid4())}
    return says(200, answer, X_Fal_Request_Id=job.id)


def job_of(fal: FakeFal, request: FalRequest) -> Job | None:
    """The job of an address in its short or its long form."""
    app, _, rest = request.path.strip("/").partition("/requests/")
    job = fal.job(rest.partition("/")[0])
    is_known = job and app in (job.endpoint, app_of(job.endpoint)) and fal.knows(request, job)
    return job if is_known else None


NOT_FOUND = {"status": "NOT_FOUND"}


def status(fal: FakeFal, request: FalRequest) -> Answer:
    job = job_of(fal, request)
    if job is None:
        return says(404, NOT_FOUND)
    fal.advance(job)
    with job.lock:
        code = 200 if job.has_ended else 202
        return says(code, status_of(job, request), X_Fal_Request_Id=job.id)


def status_of(job: Job, request: FalRequest) -> dict[str, Any]:
    answer: dict[str, Any] = {"status": job.status, "request_id": job.id, **addresses(job, request)}
    if job.status == WAITING:
        return answer | {"queue_position": job.queue_position}
    answer["logs"] = list(job.logs) if request.param("logs") in ("1", "true") else None
    if job.status == RUNNING:
        return answer
    began, ended = job.started_at, job.ended_at
    answer["metrics"] = {"inference_time": (ended - began).total_seconds()} if began and ended else {}
    if job.error:
        answer |= {"error": job.error} | ({"error_type": job.error_type} if job.error_type else {})
    return answer


def stream(fal: FakeFal, request: FalRequest) -> Answer:
    """The same as server-sent events, written at once when the job has ended."""
    job = job_of(fal, request)
    if job is None:
        return says(404, NOT_FOUND)
    events = [status_of(job, request)]
    while not job.has_ended and not fal.stopping.wait(0.01):
        fal.advance(job)
        if events[-1] != (now := status_of(job, request)):
            events.append(now)
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()
    return says(200, body, Content_Type="text/event-stream", X_Fal_Request_Id=job.id)


def result(fal: FakeFal, request: FalRequest) -> Answer:
    job = job_of(fal, request)
    if job is None or job.is_expired or (job.has_ended and fal.results_expired):
        return says(404, {"detail": "Request not found"})
    if job.status != COMPLETED:
        return says(400, {"detail": "Request is still in progress"}, X_Fal_Request_Id=job.id)
    headers = {"X_Fal_Request_Id": job.id}
    if job.units is not None:
        headers["X_Fal_Billable_Units"] = str(job.units)
    if job.result_status >= 400:
        headers["X_Fal_Needs_Retry"] = "0"
        if isinstance(job.result, dict) and job.result.get("error_type"):
            headers["X_Fal_Error_Type"] = job.result["error_type"]
    return says(job.result_status, job.result, **headers)


def cancel(fal: FakeFal, request: FalRequest) -> Answer:
    job = job_of(fal, request)
    if job is None or fal.cancel_answer == 404:
        return says(404, NOT_FOUND)
    with job.lock:
        if job.has_ended or fal.cancel_answer == 400:
            return says(400, {"status": "ALREADY_COMPLETED"})
        fal.cancel(job)
    return says(fal.cancel_answer or 202, {"status": "CANCELLATION_REQUESTED"})
