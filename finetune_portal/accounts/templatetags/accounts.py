"""What error pages ask about who sees them."""

from __future__ import annotations

from typing import Any

from django import template

from finetune_portal.accounts import second_factor

register = template.Library()


@register.simple_tag(takes_context=True)
def is_inside(context: dict[str, Any]) -> bool:
    """Whether the visitor is signed in, and has the second factor if the operator requires one."""
    request = context["request"]
    return request.user.is_authenticated and not second_factor.is_missing(request)
