"""Start check: the signing secret of webhooks can be used."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from finetune_portal.web.checks import ENVIRONMENT
from finetune_portal.webhooks.signature import is_usable


@register(ENVIRONMENT)
def webhook_secret(**_: Any) -> list[CheckMessage]:
    secret = settings.SEGMIND_WEBHOOK_SECRET
    if secret and not is_usable(secret):
        hint = "After whsec_ comes base64. Copy it whole."
        return [Error("SEGMIND_WEBHOOK_SECRET is not a signing secret.", hint=hint, id="portal.E004")]
    return []
