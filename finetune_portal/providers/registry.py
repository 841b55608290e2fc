"""The providers. A new one is a line in PROVIDERS (docs/providers.md)."""

from __future__ import annotations

from finetune_portal.providers import fal, replicate, segmind
from finetune_portal.providers.provider import Provider

SEGMIND = segmind.PROVIDER  # and every engine, as it speaks the same API
# Those beside it, each with one address for all accounts and a key in the environment.
PROVIDERS = {provider.id: provider for provider in (fal.PROVIDER, replicate.PROVIDER)}


def provider_of(id: str) -> Provider:
    return SEGMIND if id == SEGMIND.id else PROVIDERS[id]
