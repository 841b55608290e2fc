"""Start check: the audit record is kept long enough."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from finetune_portal.audit.append_only import MIN_KEEP_DAYS
from finetune_portal.web.checks import ENVIRONMENT


@register(ENVIRONMENT)
def audit_retention(**_: Any) -> list[CheckMessage]:
    if 0 < settings.AUDIT_KEEP_DAYS < MIN_KEEP_DAYS:
        text = f"AUDIT_KEEP_DAYS must be 0 (forever) or at least {MIN_KEEP_DAYS}."
        return [Error(text, id="portal.E005")]
    return []
