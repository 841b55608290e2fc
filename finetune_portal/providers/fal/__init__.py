"""The adapter of fal's queue, storage and platform API (docs/provider-fal.md). Knows nothing of Django."""

from __future__ import annotations

from finetune_portal.providers.contract import Phase
from finetune_portal.providers.fal.adapter import WITH_KEY, FalAdapter
from finetune_portal.providers.fal.client import ADDRESSES
from finetune_portal.providers.fal.trainers import TABLE
from finetune_portal.providers.fal.webhooks import HEADERS
from finetune_portal.providers.provider import Provider

PROVIDER = Provider(
    id="fal",
    title="fal",
    make_adapter=FalAdapter,
    addresses=ADDRESSES,
    trainers=tuple(each.trainer for each in TABLE.values()),
    capabilities=WITH_KEY,
    phases=(Phase.REQUESTED, Phase.TRAINING, Phase.AVAILABLE),
    keeps="fal keeps a dataset for 14 days after its upload, a model file for four weeks and its own record.",
    key_variable="FAL_KEY",
    admin_key_variable="FAL_ADMIN_KEY",
    variables={
        "queue": "FAL_QUEUE_URL",
        "rest": "FAL_REST_URL",
        "cdn": "FAL_CDN_URL",
        "api": "FAL_API_URL",
    },
    webhook_headers=HEADERS,
    key_hint="Keys of fal have two parts with a colon between them.",
    key_pattern="[^:]+:[^:]+",
)

__all__ = ["ADDRESSES", "PROVIDER", "FalAdapter"]
