"""The fake's jobs: one POST is one job; its states, lists, cancel, outages and money."""

from __future__ import annotations

from decimal import Decimal

import pytest
import requests

from tests.provider.results import WEIGHTS
from tests.replicate.calls import KONTEXT, PRUNA, Calls
from tests.replicate.server import FakeReplicate


@pytest.mark.parametrize("model", [PRUNA, KONTEXT])
def test_a_job_goes_from_start_to_weights(replicate: FakeReplicate, calls: Calls, model: str) -> None:
    job = calls.started(model)
    seen = [calls.status(job)["status"] for _ in range(3)]
    assert (job["status"], seen) == ("starting", ["starting", "processing", "succeeded"])
    ended = calls.status(job)
    weights = ended["output"] if model == PRUNA else ended["output"]["weights"]
    assert requests.get(weights, timeout=10).content == WEIGHTS
    assert ended["logs"].splitlines() == list(replicate.log_lines)
    assert len(replicate.jobs) == len(replicate.sent("submit")) == 1


def test_wrong_input_is_refused_at_once_and_costs_nothing(replicate: FakeReplicate, calls: Calls) -> None:
    for fields in ({"steps": 99}, {"steps": "many"}, {"rank": 16}, {"learning_rate": 1}):
        answer = calls.submit(**fields)
        assert (answer.status_code, answer.json()["title"]) == (422, "Input validation failed")
    assert replicate.jobs == []


def test_a_training_needs_a_destination_and_makes_a_version_of_it(
    replicate: FakeReplicate, calls: Calls
) -> None:
    job = calls.started(KONTEXT)
    assert calls.ended(job)["output"]["version"].startswith("a-team/portal-1:")
    replicate.destinations.clear()
    path = f"/models/{KONTEXT}/versions/{job['version']}/trainings"
    answer = calls("POST", path, json={"destination": "a-team/portal-1", "input": {"input_images": "x"}})
    assert (answer.status_code, len(replicate.jobs)) == (404, 1)


@pytest.mark.parametrize("is_rewritten", [True, False])
def test_both_lists_are_newest_first_in_pages(
    replicate: FakeReplicate, calls: Calls, is_rewritten: bool
) -> None:
    replicate.page_size, replicate.rewrites_uploads = 2, is_rewritten
    jobs = [calls.started() for _ in range(3)]
    calls.started(KONTEXT)
    page = calls("GET", "/predictions").json()
    rows = page["results"] + calls("GET", page["next"]).json()["results"]
    assert [each["id"] for each in rows] == [each["id"] for each in reversed(jobs)]
    assert "/download?" in rows[0]["input"]["image_data"]
    after = calls("GET", "/predictions", params={"created_after": jobs[1]["created_at"]}).json()
    assert len(after["results"]) == 2
    assert len(calls("GET", "/trainings").json()["results"]) == 1


def test_a_list_may_be_late_have_a_hole_or_lack_what_runs(replicate: FakeReplicate, calls: Calls) -> None:
    replicate.history_late = 1
    calls.started()
    assert [len(calls("GET", "/predictions").json()["results"]) for _ in range(2)] == [0, 1]
    replicate.history_shows_running = False
    assert calls("GET", "/predictions").json()["results"] == []
    replicate.history_shows_running, replicate.history_hole = True, True
    calls.started()
    assert len(calls("GET", "/predictions").json()["results"]) == 1


def test_cancel_ends_a_job_and_too_late_changes_nothing(replicate: FakeReplicate, calls: Calls) -> None:
    job = calls.started()
    assert calls("POST", job["urls"]["cancel"]).json()["status"] == "canceled"
    assert replicate.charged == 0
    job = calls.started()
    calls.ended(job)
    assert calls("POST", job["urls"]["cancel"]).json()["status"] == "succeeded"
    replicate.ignores_cancel = True
    assert calls("POST", calls.started()["urls"]["cancel"]).json()["status"] == "starting"


def test_a_job_is_charged_by_its_steps_and_a_failed_one_for_half_of_them(
    replicate: FakeReplicate, calls: Calls
) -> None:
    calls.ended(calls.started(steps=500))
    assert replicate.charged == Decimal(2)
    replicate.fail(calls.in_ledger(calls.started(steps=1000)))
    assert replicate.charged == Decimal(4)


def test_what_was_made_is_deleted_after_its_end(replicate: FakeReplicate, calls: Calls) -> None:
    replicate.results_expired = True
    ended = calls.ended(calls.started())
    assert (ended["status"], ended["data_removed"]) == ("succeeded", True)
    assert (ended["output"], ended["input"], ended["logs"]) == (None, {}, "")


def test_outages(replicate: FakeReplicate, calls: Calls) -> None:
    assert calls("GET", "/account", key="another").status_code == 401
    replicate.locked_on = {"submit"}
    assert (calls.submit().status_code, replicate.jobs) == (402, [])
    replicate.locked_on, replicate.busy_on, replicate.busy_seconds = (), {"account"}, 7
    assert calls("GET", "/account").headers["Retry-After"] == "7"
    replicate.html_errors_on, replicate.busy_on = {"account"}, ()
    assert calls("GET", "/account").status_code == 503
    replicate.broken = {KONTEXT}
    assert (calls.submit(KONTEXT).status_code, replicate.jobs) == (500, [])
    replicate.loses_request = True
    with pytest.raises(requests.RequestException):
        calls.submit()
    assert replicate.jobs == []
    replicate.loses_request, replicate.loses_answer = False, True
    with pytest.raises(requests.RequestException):
        calls.submit()
    assert len(replicate.jobs) == 1


def test_it_can_be_stopped_and_started_again(replicate: FakeReplicate, calls: Calls) -> None:
    job = calls.started()
    replicate.stop()
    with pytest.raises(requests.ConnectionError):
        calls.status(job)
    replicate.start()
    assert calls.status(job)["id"] == job["id"]
