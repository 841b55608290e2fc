"""api.fal.ai/v1: catalogue, prices, history, bills and balance."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.fal.ledger import Job
from tests.fal.request import FalRequest, platform_error
from tests.fal.trainers import ENDPOINTS, Endpoint, runners
from tests.provider.exchange import Answer, says

if TYPE_CHECKING:
    from tests.fal.server import FakeFal

NANO = 10**9


def known(fal: FakeFal) -> list[str]:
    return [name for name in ENDPOINTS if name not in fal.closed]


def models(fal: FakeFal, request: FalRequest) -> Answer:
    """The catalogue: all, or those that are asked for; an unknown one is 404."""
    wanted = request.listed("endpoint_id")
    listed = [*known(fal), *sorted(fal.other_trainers)]
    if not set(wanted) <= set(listed):
        return not_known()
    rows = [_model(fal, request, name) for name in wanted or listed]
    if category := request.param("category"):
        rows = [row for row in rows if row["metadata"]["category"] == category]
    return paged(request, "models", rows, 50)


def _model(fal: FakeFal, request: FalRequest, name: str) -> dict[str, Any]:
    endpoint = ENDPOINTS.get(name) or Endpoint(name, Decimal(1), "units", {})
    related = "inference_endpoint_ids" if endpoint.is_trainer else "training_endpoint_ids"
    row: dict[str, Any] = {
        "endpoint_id": name,
        "metadata": {
            "display_name": endpoint.title,
            "category": "training" if endpoint.is_trainer else "image-to-image",
            "description": endpoint.title,
            "status": "deprecated" if name in fal.deprecated else "active",
            "tags": [],
            "updated_at": "2026-11-01T00:00:00Z",
            "is_favorited": None,
            "thumbnail_url": "https://fal.media/files/example.jpg",
            "model_url": f"https://fal.run/{name}",
            "license_type": "commercial",
            "date": "2026-01-01T00:00:00Z",
            "highlighted": False,
            "kind": "training" if endpoint.is_trainer else "inference",
            related: runners(name) if endpoint.is_trainer else list(endpoint.runs),
            "pinned": False,
        },
    }
    if "openapi-3.0" in request.listed("expand"):
        row["openapi"] = _openapi(name, endpoint)
    return row


def _openapi(name: str, endpoint: Endpoint) -> dict[str, Any]:
    address = endpoint.address_fields[0]
    properties: dict[str, Any] = {address: {"type": "string"}}
    properties |= {field: rule.schema for field, rule in endpoint.fields.items()}
    schema = {"title": "Input", "type": "object", "properties": properties, "required": [address]}
    body = {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Input"}}},
    }
    return {
        "openapi": "3.0.4",
        "info": {"title": endpoint.title, "version": "1.0.0"},
        "servers": [{"url": "https://queue.fal.run"}],
        "paths": {f"/{name}": {"post": {"requestBody": body}}},
        "components": {"schemas": {"Input": schema}},
    }


def pricing(fal: FakeFal, request: FalRequest) -> Answer:
    """Base prices: neither the factor of the input images nor the minimum."""
    wanted = request.listed("endpoint_id")
    if not wanted:
        return platform_error(400, "validation_error", "endpoint_id is required")
    if not set(wanted) <= set(known(fal)):
        return not_known()
    rows = [
        {
            "endpoint_id": name,
            "unit_price": float(fal.price(name)),
            "unit": ENDPOINTS[name].unit,
            "currency": "USD",
        }
        for name in wanted
    ]
    return paged(request, "prices", rows, 50)


def estimate(fal: FakeFal, request: FalRequest) -> Answer:
    wanted = request.payload
    endpoints = wanted.get("endpoints") if isinstance(wanted, dict) else None
    kind = wanted.get("estimate_type") if isinstance(wanted, dict) else None
    count = {"unit_price": "unit_quantity", "historical_api_price": "call_quantity"}.get(str(kind))
    if not isinstance(endpoints, dict) or count is None:
        return platform_error(400, "validation_error", "estimate_type and endpoints are required")
    if not set(endpoints) <= set(known(fal)):
        return not_known()
    total = sum(fal.price(name) * Decimal(str(each[count])) for name, each in endpoints.items())
    return says(200, {"estimate_type": kind, "total_cost": float(total), "currency": "USD"})


def shown(fal: FakeFal) -> list[Job]:
    """The jobs that the history has by now: with `history_shows_running` also those that have not ended."""
    with fal.lock:
        there = [job for job in fal.jobs if job.hidden == 0]
        for job in fal.jobs:
            job.hidden -= job.hidden > 0
    return [job for job in there if job.has_ended or fal.history_shows_running]


def _item(job: Job, request: FalRequest) -> dict[str, Any]:
    item: dict[str, Any] = {
        "request_id": job.id,
        "endpoint_id": job.endpoint,
        "sent_at": _time(job.sent_at),
        "started_at": _time(job.started_at or job.sent_at),
        "ended_at": _time(job.ended_at) if job.ended_at else None,
        "status_code": job.result_status if job.has_ended else None,
        "duration": (job.ended_at - job.sent_at).total_seconds() if job.ended_at else None,
    }
    if "payloads" in request.listed("expand") and job.headers.get("x-fal-store-io") != "0":
        item |= {"json_input": job.input, "json_output": job.result}
    return item


def history(fal: FakeFal, request: FalRequest) -> Answer:
    """The requests of some endpoints, last ended first; by default those of the last 24 hours."""
    endpoints = request.listed("endpoint_id")
    if not endpoints:
        return platform_error(400, "validation_error", "endpoint_id is required")
    try:
        start = _parse(request.param("start")) or datetime.now(UTC) - timedelta(days=1)
        end = _parse(request.param("end")) or datetime.now(UTC)
    except ValueError:
        return platform_error(400, "validation_error", "start and end are ISO 8601 times")
    jobs = [job for job in shown(fal) if job.endpoint in endpoints and fal.knows(request, job)]
    jobs = [job for job in jobs if start <= (job.ended_at or job.sent_at) <= end]
    if wanted := request.param("request_id"):
        jobs = [job for job in jobs if job.id == wanted]
    if kind := request.param("status"):
        jobs = [job for job in jobs if job.has_ended and _kind(job) == kind]
    jobs.sort(key=lambda job: (job.ended_at is None, job.ended_at or job.sent_at), reverse=True)
    return paged(request, "items", [_item(job, request) for job in jobs], 50, 100)


def _kind(job: Job) -> str:
    return "success" if job.result_status < 400 else "user_error" if job.result_status < 500 else "error"


def search(fal: FakeFal, request: FalRequest) -> Answer:
    """The same requests, newest first by their creation."""
    endpoints = request.listed("endpoint_id")
    jobs = [job for job in shown(fal) if not endpoints or job.endpoint in endpoints]
    return paged(request, "results", [_item(job, request) for job in reversed(jobs)], 50, 100)


def billing_events(fal: FakeFal, request: FalRequest) -> Answer:
    """What was charged for each job, in USD; only for the admin key."""
    wanted = request.listed("request_id")
    rows = [
        {
            "request_id": job.id,
            "endpoint_id": job.endpoint,
            "timestamp": _time(job.ended_at or job.sent_at),
            "output_units": float(job.units or 0),
            "unit_price": float(job.unit_price or 0),
            "percent_discount": None,
            "cost_subtotal": float(job.cost),
            "cost_discount": 0,
            "cost_total": float(job.cost),
            "cost_estimate_nano_usd": int(job.cost * NANO),
        }
        for job in fal.jobs
        if job.cost is not None and (not wanted or job.id in wanted)
    ]
    if "auth_method" in request.listed("expand"):
        rows = [row | {"auth_method": "API key"} for row in rows]
    return paged(request, "billing_events", rows, 100, 10_000)


def billing(fal: FakeFal, request: FalRequest) -> Answer:
    answer: dict[str, Any] = {"username": "a-team"}
    if "credits" in request.listed("expand"):
        answer["credits"] = {"current_balance": float(fal.credits - fal.charged), "currency": "USD"}
    return says(200, answer)


def meta(fal: FakeFal, request: FalRequest) -> Answer:
    return says(200, {"webhook_ip_ranges": ["127.0.0.1/32"]})


def not_known() -> Answer:
    return platform_error(404, "not_found", "Resource not found")


def paged(request: FalRequest, name: str, rows: Iterable[Any], limit: int, most: int | None = None) -> Answer:
    """A page of rows. The cursor is opaque to clients: the number of the next row."""
    rows = list(rows)
    asked = request.param("limit") or str(limit)
    if not asked.isdigit() or not 1 <= int(asked) <= (most or int(asked)):
        return platform_error(400, "validation_error", f"limit must be between 1 and {most}")
    cursor = request.param("cursor")
    start = int(base64.b64decode(cursor)) if cursor else 0
    end = start + int(asked)
    more = end < len(rows)
    cursor_after = base64.b64encode(str(end).encode()).decode() if more else None
    return says(200, {name: rows[start:end], "next_cursor": cursor_after, "has_more": more})


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _parse(text: str) -> datetime | None:
    if not text:
        return None
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
