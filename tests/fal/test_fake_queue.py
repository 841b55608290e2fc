"""The fake's queue: one POST is one job; its states, its result, cancel, and outages."""

from __future__ import annotations

import pytest
import requests

from tests.fal.calls import KLEIN, KONTEXT, Calls
from tests.fal.server import FakeFal
from tests.fal.switches import Failure

UNKNOWN_JOB = f"{KONTEXT}/requests/00000000-0000-0000-0000-000000000000"


def test_a_job_goes_from_the_queue_to_its_weights(fal: FakeFal, calls: Calls) -> None:
    job = calls.submit()
    seen = [calls.status(job, logs=1) for _ in range(3)]
    assert [(each.status_code, each.json()["status"]) for each in seen] == [
        (202, "IN_QUEUE"),
        (202, "IN_PROGRESS"),
        (200, "COMPLETED"),
    ]
    assert (job["queue_position"], seen[0].json()["queue_position"]) == (1, 0)
    assert [line["message"] for line in seen[1].json()["logs"]] == list(fal.log_lines)
    result = calls.result(job)
    file = result.json()["diffusers_lora_file"]
    assert requests.get(file["url"], timeout=10).content[8:9] == b"{"  # the header of safetensors
    assert len(requests.get(file["url"], timeout=10).content) == file["file_size"]
    assert result.headers["x-fal-request-id"] == job["request_id"]
    assert len(fal.jobs) == len(fal.sent("submit")) == 1


def test_each_form_of_the_address_is_answered_and_no_other(fal: FakeFal, calls: Calls) -> None:
    job = calls.submit(KLEIN)
    base, job_id = fal.queue_url, job["request_id"]
    assert job["status_url"] == f"{base}/fal-ai/flux-2-klein-4b-base-trainer/requests/{job_id}/status"
    calls.ended(job)
    for form in ("fal-ai/flux-2-klein-4b-base-trainer", KLEIN):
        for end in ("", "/response", "/status", "/status/stream"):
            assert calls("GET", f"{base}/{form}/requests/{job_id}{end}").status_code == 200
    assert calls("GET", f"{base}/fal-ai/other/requests/{job_id}/status").status_code == 404
    assert calls("GET", f"{base}/{UNKNOWN_JOB}/status").json() == {"status": "NOT_FOUND"}


def test_a_status_has_logs_only_where_they_are_asked_for(fal: FakeFal, calls: Calls) -> None:
    fal.steps = ("IN_PROGRESS",)
    job = calls.submit()
    assert calls.status(job).json()["logs"] is None
    assert calls.status(job, logs=1).json()["logs"]


def test_a_lost_answer_leaves_one_job_and_a_lost_request_none(fal: FakeFal, calls: Calls) -> None:
    address = calls.upload()
    fal.loses_answer = True
    with pytest.raises(requests.ConnectionError):
        calls.submit(image_data_url=address)
    assert len(fal.jobs_by_nonce(address)) == 1
    fal.loses_answer, fal.loses_request = False, True
    with pytest.raises(requests.ConnectionError):
        calls.submit(image_data_url=address)
    assert len(fal.jobs_by_nonce(address)) == 1
    assert len(fal.sent("submit")) == 2


def test_outages_take_no_job_and_hit_only_their_calls(fal: FakeFal, calls: Calls) -> None:
    job = calls.submit()
    submit = f"{fal.queue_url}/{KONTEXT}"
    assert calls("POST", submit, json={}, key="wrong:key").status_code == 401
    fal.locked_on = {"submit"}
    locked = calls("POST", submit, json={})
    assert locked.status_code == 403
    assert locked.json()["detail"].startswith("User is locked. Reason: Exhausted balance")
    fal.locked_on, fal.busy_on = {"status"}, {"submit"}
    assert (calls("POST", submit, json={}).status_code, calls.status(job).status_code) == (429, 403)
    fal.busy_seconds = 7
    assert calls("POST", submit, json={}).headers["Retry-After"] == "7"
    fal.busy_on, fal.html_errors_on = (), {"submit"}
    proxy = calls("POST", submit, json={})
    assert (proxy.status_code, proxy.headers["Content-Type"]) == (503, "text/html")
    assert len(fal.jobs) == 1
    fal.locked_on = ()
    assert calls.status(job).status_code == 202


def test_a_job_may_step_back_and_wait_for_the_test(fal: FakeFal, calls: Calls) -> None:
    fal.steps = ("IN_PROGRESS", "IN_QUEUE", "IN_QUEUE", "IN_PROGRESS")
    job = calls.submit()
    seen = [calls.status(job).json() for _ in range(4)]
    assert [each["status"] for each in seen] == ["IN_QUEUE", "IN_QUEUE", "IN_PROGRESS", "IN_PROGRESS"]
    assert [each["queue_position"] for each in seen[:2]] == [1, 0]
    early = calls.result(job)
    assert (early.status_code, early.json()["detail"]) == (400, "Request is still in progress")


@pytest.mark.parametrize("status_has_error", [True, False])
def test_a_failure_is_a_completed_job(fal: FakeFal, calls: Calls, status_has_error: bool) -> None:
    fal.failure, fal.status_has_error = Failure(), status_has_error
    job = calls.submit()
    result = calls.ended(job)
    status = calls.status(job).json()
    assert (status["status"], "error" in status) == ("COMPLETED", status_has_error)
    assert (result.status_code, result.headers["X-Fal-Error-Type"]) == (500, "runner_disconnected")
    assert fal.charged == 0


def test_a_result_ends(fal: FakeFal, calls: Calls) -> None:
    job = calls.submit()
    assert calls.ended(job).status_code == 200
    fal.results_expired = True
    assert calls.result(job).status_code == 404


def test_cancel(fal: FakeFal, calls: Calls) -> None:
    """A queued job never runs, a running one stops or does not, one that has ended is too late."""
    queued = calls.submit()
    answer = calls("PUT", queued["cancel_url"])
    assert (answer.status_code, answer.json()) == (202, {"status": "CANCELLATION_REQUESTED"})
    assert calls.result(queued).status_code == 499
    assert calls("PUT", queued["cancel_url"]).json() == {"status": "ALREADY_COMPLETED"}
    fal.steps = ("IN_PROGRESS", "IN_PROGRESS", "COMPLETED")
    running = calls.submit()
    assert calls("PUT", running["cancel_url"]).status_code == 202
    assert calls.status(running).json()["error_type"] == "client_cancelled"
    fal.ignores_cancel = True
    stubborn = calls.submit()
    assert calls("PUT", stubborn["cancel_url"]).status_code == 202
    assert [calls.status(stubborn).json()["status"] for _ in range(2)] == ["IN_PROGRESS", "COMPLETED"]
    assert calls.result(stubborn).status_code == 200
    assert calls("PUT", f"{fal.queue_url}/{UNKNOWN_JOB}/cancel").status_code == 404
    assert [job.cost is None for job in fal.jobs] == [True, True, False]
    for code in (200, 400, 404):
        fal.cancel_answer = code
        assert calls("PUT", calls.submit()["cancel_url"]).status_code == code


def test_unknown_fields_are_everywhere(fal: FakeFal, calls: Calls) -> None:
    fal.has_unknown_fields = True
    job = calls.submit()
    calls.ended(job)
    for answer in (job, calls.status(job).json(), calls.result(job).json()["diffusers_lora_file"]):
        assert "added_in_2027" in answer


def test_tags_are_kept_and_bad_ones_dropped(fal: FakeFal, calls: Calls) -> None:
    headers = {"X-Fal-Tags": "portal-job=abc,fal.own=1,Bad Key=2,empty"}
    calls("POST", f"{fal.queue_url}/{KONTEXT}", json={}, headers=headers)
    assert fal.jobs[0].tags == {"portal-job": "abc"}
    assert fal.jobs_by_nonce("abc") == fal.jobs


def test_it_comes_back_on_its_port_with_its_ledger(fal: FakeFal, calls: Calls) -> None:
    job = calls.submit()
    fal.stop()
    with pytest.raises(requests.ConnectionError):
        calls.status(job)
    fal.start()
    assert calls.status(job).status_code == 202
