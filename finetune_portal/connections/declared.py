"""What every account at the provider of a connection has. Nobody is asked: the provider declares it."""

from __future__ import annotations

from finetune_portal.connections.models import Connection
from finetune_portal.providers.contract import Capability
from finetune_portal.providers.registry import provider_of


def lists_jobs(connection: Connection) -> bool:
    """Whether one call lists all jobs of the account; else each is asked for by calls of its own."""
    return _always(connection, Capability.LIST)


def shows_balance(connection: Connection) -> bool:
    """Whether its key shows the balance, whose difference tells what a job cost."""
    return _always(connection, Capability.BALANCE)


def has_visibility(connection: Connection) -> bool:
    """Whether its models are public or private."""
    return _always(connection, Capability.VISIBILITY)


def has_prices(connection: Connection) -> bool:
    """Whether the price of a job can be known before it is sent."""
    return _always(connection, Capability.ESTIMATE)


def reads_growing_files(connection: Connection) -> bool:
    """Whether a file may go there as it is, before it is whole and checked."""
    return provider_of(connection.provider).reads_growing_files


def _always(connection: Connection, capability: Capability) -> bool:
    return capability in provider_of(connection.provider).capabilities
