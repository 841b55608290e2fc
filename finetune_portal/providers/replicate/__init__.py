"""The adapter of Replicate's API (docs/provider-replicate.md). Knows nothing of Django."""

from __future__ import annotations

from finetune_portal.providers.contract import Phase
from finetune_portal.providers.provider import Provider
from finetune_portal.providers.replicate.adapter import CAPABILITIES, ReplicateAdapter
from finetune_portal.providers.replicate.client import ADDRESSES
from finetune_portal.providers.replicate.trainers import REPORT, TABLE
from finetune_portal.providers.replicate.webhooks import HEADERS

PROVIDER = Provider(
    id="replicate",
    title="Replicate",
    make_adapter=ReplicateAdapter,
    addresses=ADDRESSES,
    trainers=tuple(each.trainer for each in TABLE.values()),
    capabilities=CAPABILITIES,
    phases=(Phase.REQUESTED, Phase.TRAINING, Phase.AVAILABLE),
    keeps="Replicate deletes the files of a job an hour after its end, and a dataset a day after its upload.",
    key_variable="REPLICATE_API_TOKEN",
    variables={"api": "REPLICATE_BASE_URL"},
    webhook_headers=HEADERS,
)

__all__ = ["ADDRESSES", "PROVIDER", "REPORT", "ReplicateAdapter"]
