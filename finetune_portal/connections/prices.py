"""What a job costs before it is sent, by the price that its provider publishes."""

from __future__ import annotations

from decimal import Decimal

from django.core.cache import cache

from finetune_portal.connections import declared
from finetune_portal.connections.client import adapter_for_question
from finetune_portal.connections.models import Connection
from finetune_portal.providers.contract import Money, Price
from finetune_portal.providers.errors import CallError

KEPT = 600  # seconds that a price is good for
PAUSE = 30  # seconds without a question after one that failed: somebody waits for each
NOT_KNOWN = "not known"


class PriceUnavailableError(Exception):
    """The provider cannot be asked for its price now."""


def estimate(connection: Connection, trainer: str, steps: int, inputs: int = 1) -> Money | None:
    """The price of a job with so many input images a pair; None where no price of it is known.

    Raises PriceUnavailableError.
    """
    if not declared.has_prices(connection):
        return None
    key, failed = f"price:{connection.pk}:{trainer}:{steps}:{inputs}", f"price-failed:{connection.pk}"
    if (kept := cache.get(key)) is None:
        if cache.get(failed):
            raise PriceUnavailableError
        try:
            with adapter_for_question(connection) as adapter:
                price = adapter.estimate(trainer, steps, inputs)
        except CallError:
            cache.set(failed, True, PAUSE)
            raise PriceUnavailableError from None
        kept = f"{price.amount} {price.currency}" if price else NOT_KNOWN
        cache.set(key, kept, KEPT)
    if kept == NOT_KNOWN:
        return None
    amount, currency = kept.split()
    return Money(Decimal(amount), currency, Price.ESTIMATE)
