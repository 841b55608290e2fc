"""How amounts look."""

from __future__ import annotations

from decimal import Decimal

from django import template

from finetune_portal.costs.amounts import amount_text
from finetune_portal.web.numbers import number_text

register = template.Library()


@register.filter
def amount(value: Decimal | None) -> str:
    """Format an amount; nothing for one that is not known."""
    return "" if value is None else amount_text(value)


@register.filter
def amount_input(value: Decimal) -> str:
    """Format an amount as a person types it: 50, 12.5 or 1.1250."""
    return number_text(value)
