"""The fake's messages arrive at the end of a job, as often and as late as its switches say."""

from __future__ import annotations

import pytest

from tests.replicate.calls import KONTEXT, PRUNA, Calls
from tests.replicate.models import version_of
from tests.replicate.server import FakeReplicate
from tests.waiting import until


def start(calls: Calls, receiver: FakeReplicate, **fields: object) -> dict[str, object]:
    body: dict[str, object] = {"version": version_of(PRUNA), "input": {"image_data": calls.upload()}}
    body |= {"webhook": f"{receiver.url}/hook", **fields}
    return dict(calls("POST", "/predictions", json=body).json())


@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_message_comes_so_often(replicate: FakeReplicate, calls: Calls, times: int) -> None:
    replicate.webhook_times = times
    with FakeReplicate() as receiver:
        calls.ended(start(calls, receiver))
        replicate.join()
        bodies = [request.json for request in receiver.requests]
    assert [each["status"] for each in bodies] == ["succeeded"] * times
    assert [each.status for each in replicate.deliveries] == [404] * times
    assert all(each.headers["webhook-id"].startswith("msg_") for each in replicate.deliveries)


def test_a_filter_without_the_end_sends_none(replicate: FakeReplicate, calls: Calls) -> None:
    with FakeReplicate() as receiver:
        calls.ended(start(calls, receiver, webhook_events_filter=["start"]))
        replicate.join()
        assert receiver.requests == []


def test_one_comes_late_and_by_hand_once_more(replicate: FakeReplicate, calls: Calls) -> None:
    replicate.webhook_delay = 2.0  # longer than a busy machine takes to look
    with FakeReplicate() as receiver:
        job = start(calls, receiver)
        calls.ended(job)
        assert receiver.requests == []
        until(lambda: receiver.requests)
        replicate.deliver(calls.in_ledger(job))
        assert len(receiver.requests) == 2


def test_a_model_that_is_closed_starts_nothing(replicate: FakeReplicate, calls: Calls) -> None:
    replicate.closed, replicate.without_version = {PRUNA}, {KONTEXT}
    assert calls.submit().status_code == 404
    assert calls("GET", f"/models/{PRUNA}").status_code == 404
    assert calls("GET", f"/models/{KONTEXT}").json()["latest_version"] is None
