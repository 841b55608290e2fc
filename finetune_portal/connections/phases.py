"""The phases that a job goes through at the provider of a connection."""

from __future__ import annotations

from finetune_portal.connections.models import Connection
from finetune_portal.providers.contract import Phase
from finetune_portal.providers.registry import provider_of


def phases_of(connection: Connection) -> tuple[Phase, ...]:
    return provider_of(connection.provider).phases
