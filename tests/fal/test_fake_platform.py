"""The fake's catalogue, prices, history and bills, and the webhooks that it sends."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.fal.calls import KLEIN, KONTEXT, Calls
from tests.fal.server import FakeFal
from tests.waiting import until

HISTORY = f"/models/requests/by-endpoint?endpoint_id={KONTEXT},{KLEIN}&expand=payloads"


def test_the_catalogue_says_what_is_open_and_what_runs_its_models(fal: FakeFal, calls: Calls) -> None:
    fal.deprecated, fal.closed = {KONTEXT}, {"fal-ai/flux-2-trainer/edit"}
    rows = calls.api(f"/models?endpoint_id={KONTEXT}&endpoint_id={KLEIN}&expand=openapi-3.0").json()["models"]
    assert [row["metadata"]["status"] for row in rows] == ["deprecated", "active"]
    assert "fal-ai/flux-2/klein/4b/base/edit/lora" in rows[1]["metadata"]["inference_endpoint_ids"]
    steps = rows[1]["openapi"]["components"]["schemas"]["Input"]["properties"]["steps"]
    assert (steps["minimum"], steps["maximum"], steps["multipleOf"]) == (100, 10000, 100)
    assert calls.api("/models?endpoint_id=fal-ai/flux-2-trainer/edit").status_code == 404
    closed = calls("POST", f"{fal.queue_url}/fal-ai/flux-2-trainer/edit", json={})
    assert (closed.status_code, fal.jobs) == (404, [])
    assert calls("POST", f"{fal.queue_url}/{KONTEXT}", json={}).status_code == 200


def test_the_catalogue_may_have_trainers_that_cannot_be_run_here(fal: FakeFal, calls: Calls) -> None:
    fal.other_trainers = {"fal-ai/flux-lora-fast-training"}
    rows = calls.api("/models?category=training").json()["models"]
    assert rows[-1]["endpoint_id"] == "fal-ai/flux-lora-fast-training"
    refused = calls("POST", f"{fal.queue_url}/fal-ai/flux-lora-fast-training", json={})
    assert (refused.status_code, fal.jobs) == (404, [])


def test_prices_and_bills(fal: FakeFal, calls: Calls) -> None:
    """Only the admin key sees what was charged and what is left."""
    prices = calls.api(f"/models/pricing?endpoint_id={KONTEXT}").json()["prices"]
    assert prices == [{"endpoint_id": KONTEXT, "unit_price": 0.0025, "unit": "steps", "currency": "USD"}]
    wanted = {"estimate_type": "unit_price", "endpoints": {KONTEXT: {"unit_quantity": 1000}}}
    assert calls("POST", f"{fal.api_url}/models/pricing/estimate", json=wanted).json()["total_cost"] == 2.5
    job = calls.submit(steps=1000)
    calls.ended(job)
    bills = f"/models/billing-events?request_id={job['request_id']}"
    assert [calls.api(path).status_code for path in (bills, "/account/billing")] == [403, 403]
    (event,) = calls.api(bills, key=fal.admin_key).json()["billing_events"]
    assert (event["cost_total"], event["cost_estimate_nano_usd"]) == (2.5, 2_500_000_000)
    left = calls.api("/account/billing?expand=credits", key=fal.admin_key).json()["credits"]
    assert left == {"current_balance": 997.5, "currency": "USD"}
    assert calls.api(bills, key="wrong:key").status_code == 401


def listed(calls: Calls, more: str = "") -> list[str]:
    return [item["request_id"] for item in calls.api(HISTORY + more).json()["items"]]


def test_the_history_has_what_has_ended(fal: FakeFal, calls: Calls) -> None:
    first, second = calls.submit(), calls.submit(KLEIN)
    assert listed(calls) == []
    fal.history_shows_running = True
    assert len(listed(calls)) == 2
    fal.history_shows_running = False
    for job in (second, first):
        calls.ended(job)
    assert listed(calls) == [first["request_id"], second["request_id"]]
    page = calls.api(f"{HISTORY}&limit=1").json()
    assert page["has_more"]
    assert page["items"][0]["json_input"]["image_data_url"] == fal.jobs[0].dataset
    assert listed(calls, f"&limit=1&cursor={page['next_cursor']}") == [second["request_id"]]
    assert listed(calls, "&end=2020-01-01T00:00:00Z&start=2019-01-01T00:00:00Z") == []
    browse = calls.api("/models/requests/search?only_api_requests=true").json()["results"]
    assert [row["request_id"] for row in browse] == [second["request_id"], first["request_id"]]


def test_the_history_may_come_late_have_a_hole_and_name_a_zip_twice(fal: FakeFal, calls: Calls) -> None:
    fal.history_late = 2
    late = calls.submit()
    fal.history_late, fal.history_hole = 0, True
    hole = calls.submit()
    fal.history_hole = False
    twice = calls.submit(image_data_url=fal.jobs[0].dataset)
    for job in (late, hole, twice):
        calls.ended(job)
    assert [len(listed(calls)) for _ in range(3)] == [1, 1, 2]
    assert len(fal.jobs_by_nonce(fal.jobs[0].dataset)) == 2


@contextmanager
def receiver() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """An address of a portal, and what arrives there."""
    arrived: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            arrived.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/webhooks/nonce", arrived
        server.shutdown()


def verify(keys: list[dict[str, str]], headers: dict[str, str], body: bytes) -> None:
    """As fal's page has it; InvalidSignature if no key fits."""
    names = ("request-id", "user-id", "timestamp")
    parts = [*(headers[f"x-fal-webhook-{name}"] for name in names), hashlib.sha256(body).hexdigest()]
    for key in keys:
        public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "=="))
        try:
            public.verify(bytes.fromhex(headers["x-fal-webhook-signature"]), "\n".join(parts).encode())
        except InvalidSignature:
            continue
        return
    raise InvalidSignature


def test_a_webhook_is_signed_and_may_double_be_late_be_forged_or_missing(fal: FakeFal, calls: Calls) -> None:
    with receiver() as (address, arrived):

        def end() -> None:
            calls.ended(calls.submit(query=f"?fal_webhook={address}"))

        def keys() -> list[dict[str, str]]:
            return list(calls("GET", f"{fal.rest_url}/.well-known/jwks.json", key="none").json()["keys"])

        old = keys()
        fal.webhook_times = 2
        end()
        until(lambda: len(arrived) == 2)
        assert arrived[0][1] == arrived[1][1]
        verify(old, *arrived[0])
        fal.webhook_times, fal.webhook_age = 1, 301
        fal.rotate_webhook_key()
        end()
        until(lambda: len(arrived) == 3)
        with pytest.raises(InvalidSignature):
            verify(old, *arrived[2])
        verify(keys(), *arrived[2])
        assert len(keys()) == 2
        age = int(arrived[0][0]["x-fal-webhook-timestamp"]) - int(arrived[2][0]["x-fal-webhook-timestamp"])
        assert age > 290
        fal.webhook_is_forged = True
        end()
        until(lambda: len(arrived) == 4)
        with pytest.raises(InvalidSignature):
            verify(keys(), *arrived[3])
        fal.webhook_delay, before = 0.2, time.monotonic()
        end()
        until(lambda: len(arrived) == 5)
        assert time.monotonic() - before >= 0.2
        fal.webhook_times = 0
        end()
        assert fal.deliver(fal.jobs[-1]).status == 200
        assert len(arrived) == 6
    assert len(fal.jobs_by_nonce("webhooks/nonce")) == 5


def test_a_webhook_says_that_a_job_failed(fal: FakeFal, calls: Calls) -> None:
    with receiver() as (address, arrived):
        calls.ended(calls.submit(query=f"?fal_webhook={address}", steps=1))
        until(lambda: arrived)
    assert b'"status": "ERROR"' in arrived[0][1]
    assert b"Invalid status code: 422" in arrived[0][1]
