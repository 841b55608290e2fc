"""Money: about what a job will cost, what it did cost, and what is left."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from finetune_portal.providers.contract import Capability, Handle, Money, Price
from finetune_portal.providers.errors import AdminKeyRejectedError, ServerError
from finetune_portal.providers.fal import FalAdapter
from tests.fal.calls import KLEIN, KONTEXT
from tests.fal.server import FakeFal
from tests.provider import says
from tests.providers.fal.conftest import account, failure, only_job, request_for, uploaded

QWEN = "fal-ai/qwen-image-edit-2511-trainer"
FLUX_3 = "blackforestlabs/flux-3/klein/base/trainer/edit"


@pytest.fixture
def owner(fal: FakeFal) -> FalAdapter:
    return FalAdapter(account(fal, fal.admin_key))


@pytest.mark.parametrize(
    ("trainer", "steps", "inputs", "dollars"),
    [
        (KONTEXT, 1000, 1, "2.50"),
        (KONTEXT, 100, 1, "1.25"),  # 500 steps at least
        (KLEIN, 1000, 1, "9.71"),
        (KLEIN, 1000, 2, "15.82"),
        (KLEIN, 1000, 4, "31.97"),
        (QWEN, 2000, 1, "8.00"),
        (FLUX_3, 1000, 1, "4.22"),
        (FLUX_3, 1000, 10, "46.88"),
    ],
)
def test_the_unit_price_times_the_factor_of_the_inputs(
    adapter: FalAdapter, trainer: str, steps: int, inputs: int, dollars: str
) -> None:
    assert adapter.estimate(trainer, steps, inputs) == Money(Decimal(dollars), "USD", Price.ESTIMATE)


def test_an_estimate_follows_the_price_of_the_day(fal: FakeFal, adapter: FalAdapter) -> None:
    fal.prices = {KLEIN: Decimal("0.0092")}
    money = adapter.estimate(KLEIN, 1000, 1)
    assert money
    assert money.amount == Decimal("19.41")


def priced(price: Any, unit: str) -> dict[str, Any]:
    row = {"endpoint_id": QWEN, "unit_price": price, "unit": unit, "currency": "USD"}
    return {"prices": [row], "has_more": False}


def test_a_price_of_a_thousand_steps_is_read_as_one(fal: FakeFal, adapter: FalAdapter) -> None:
    fal.script("pricing", says(200, priced(4.0, "train units")))
    assert adapter.estimate(QWEN, 2000, 1) == Money(Decimal("8.00"), "USD", Price.ESTIMATE)


@pytest.mark.parametrize("price", [0, 0.1, 1e9, "much", None, -4.0, float("1e-9")])
def test_a_price_that_makes_no_sense_is_not_shown(fal: FakeFal, adapter: FalAdapter, price: Any) -> None:
    fal.script("pricing", says(200, priced(price, "units")), says(200, {"prices": None}))
    assert adapter.estimate(QWEN, 2000, 1) is None
    assert adapter.estimate(QWEN, 2000, 1) is None


def test_a_number_of_inputs_without_a_published_factor_has_no_price(adapter: FalAdapter) -> None:
    assert adapter.estimate(FLUX_3, 1000, 7) is None


def test_without_an_admin_key_nothing_that_needs_one_is_asked(fal: FakeFal, adapter: FalAdapter) -> None:
    assert not adapter.capabilities & {Capability.COST, Capability.BALANCE}
    assert adapter.cost(Handle("1")) is None
    assert adapter.balance() is None
    assert fal.requests == []


def test_the_bill_is_what_was_charged_even_where_the_price_changed(fal: FakeFal, owner: FalAdapter) -> None:
    fal.steps = ("IN_QUEUE",)
    handle = owner.submit(request_for(uploaded(owner), steps=1000)).handle
    assert owner.cost(handle) is None
    fal.prices = {KLEIN: Decimal("0.005")}
    fal.finish(only_job(fal))
    assert owner.cost(handle) == Money(Decimal("10.55"), "USD", Price.BILLED)
    assert owner.balance() == Money(Decimal("989.45"), "USD", Price.QUOTED)
    assert {Capability.COST, Capability.BALANCE} <= owner.capabilities


def test_the_admin_key_is_used_for_money_alone(fal: FakeFal, owner: FalAdapter) -> None:
    owner.balance()
    owner.cost(Handle("1"))
    owner.estimate(KLEIN, 1000, 1)
    keys = [request.headers["authorization"] for request in fal.requests]
    assert keys == [f"Key {fal.admin_key}", f"Key {fal.admin_key}", f"Key {fal.key}"]


def test_a_wrong_admin_key_says_nothing_about_the_other(fal: FakeFal, owner: FalAdapter) -> None:
    fal.admin_key = "another:admin-key"
    error = failure(owner.balance)
    assert type(error) is AdminKeyRejectedError
    assert "admin key" in error.message
    member = FalAdapter(account(fal, fal.key))
    assert type(failure(member.balance)) is AdminKeyRejectedError
    owner.check_key()


def test_several_bills_of_a_job_are_added_and_those_of_others_are_not(
    fal: FakeFal, owner: FalAdapter
) -> None:
    bills = [("1", 1_500_000_000), ("2", 9_000_000_000), ("1", 250_000_000)]
    rows: list[dict[str, Any]] = [{"request_id": job, "cost_estimate_nano_usd": nano} for job, nano in bills]
    rows.append({"request_id": "1", "cost_total": 0.05})
    fal.script("billing_events", says(200, {"billing_events": rows, "has_more": False}))
    assert owner.cost(Handle("1")) == Money(Decimal("1.80"), "USD", Price.BILLED)


def test_a_bill_that_cannot_be_read_is_no_price(fal: FakeFal, owner: FalAdapter) -> None:
    fal.html_errors_on = {"billing_events"}
    assert type(failure(lambda: owner.cost(Handle("1")), fal.admin_key)) is ServerError
