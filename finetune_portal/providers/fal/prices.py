"""What a training will cost, what it cost, and what is left (docs/provider-fal.md, 8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from finetune_portal.providers.contract import Handle, Money, Price
from finetune_portal.providers.fal.client import Client
from finetune_portal.providers.fal.trainers import PriceRule, known
from finetune_portal.providers.http.exchange import LARGE
from finetune_portal.providers.http.json_body import missing
from finetune_portal.providers.http.values import currency, mapping, number, text

CENT = Decimal("0.01")
NANO = Decimal(10) ** 9
# The steps in a unit of the price API, which names units of other things, too. A price is read in the size
# that makes it less than LIKE times as high or as low as the one on fal's page.
UNIT_STEPS = (1, 1000)
LIKE = 10
BILLS_OF = timedelta(days=89)  # fal answers for 90 days at most


class Prices:
    def __init__(self, client: Client) -> None:
        self._client = client

    def estimate(self, endpoint: str, steps: int, inputs: int) -> Money | None:
        """About: fal's unit price times the factor and the least steps that its pages name."""
        rule = known(endpoint).price
        factor = rule.factors.get(inputs) if rule.factors else Decimal(1)
        url = f"{self._client.api}/models/pricing"
        page = self._client.call("GET", url, params={"endpoint_id": endpoint}).json()
        row = next((each for each in _rows(page, "prices") if each.get("endpoint_id") == endpoint), {})
        a_step = _price_of_a_step(rule, _decimal(row.get("unit_price")))
        if factor is None or a_step is None:
            return None
        amount = a_step * max(steps, rule.least_steps) * factor
        return Money(amount.quantize(CENT), currency(row.get("currency")), Price.ESTIMATE)

    def cost(self, handle: Handle) -> Money | None:
        """What fal billed; None while it has no bill."""
        start = (datetime.now(UTC) - BILLS_OF).strftime("%Y-%m-%d")
        params = {"request_id": handle.id, "start": start, "expand": "auth_method"}
        url = f"{self._client.api}/models/billing-events"
        page = self._client.call("GET", url, params=params, is_admin=True, cap=LARGE).json()
        rows = (each for each in _rows(page, "billing_events") if text(each.get("request_id")) == handle.id)
        bills = [bill for each in rows if (bill := _bill(each)) is not None]
        return Money(sum(bills, Decimal(0)), "USD", Price.BILLED) if bills else None

    def balance(self) -> Money:
        url = f"{self._client.api}/account/billing"
        page = self._client.call("GET", url, params={"expand": "credits"}, is_admin=True).json()
        credits = mapping(page.get("credits"))
        amount = _decimal(credits.get("current_balance"))
        if amount is None:
            raise missing("the balance")
        return Money(amount, currency(credits.get("currency")), Price.QUOTED)


def _price_of_a_step(rule: PriceRule, unit_price: Decimal | None) -> Decimal | None:
    prices = (unit_price / size for size in UNIT_STEPS) if unit_price else ()
    return next((each for each in prices if rule.a_step / LIKE < each < rule.a_step * LIKE), None)


def _bill(row: Mapping[str, Any]) -> Decimal | None:
    nano = _decimal(row.get("cost_estimate_nano_usd"))
    return nano / NANO if nano is not None else _decimal(row.get("cost_total"))


def _decimal(value: Any) -> Decimal | None:
    parsed = number(value)
    return Decimal(str(value)) if parsed is not None and parsed >= 0 else None


def _rows(page: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    rows = page.get(name)
    return (row for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict))
