"""What a package of providers/ declares of itself, for the registry and the settings. No Django."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from finetune_portal.providers.contract import Adapter, Capability, Phase, Trainer


@dataclass(frozen=True)
class Provider:
    """A provider as the portal offers it. `trainers` are those that this version knows.

    `capabilities` are those of every account, which nobody has to be asked for; an adapter may have more.
    `reads_growing_files`: it takes any layout, by a public address, too, so a file goes there as it is and
    before it is whole and checked.
    `phases` are those that a job there goes through until its model is available: the pages show no others.

    `make_adapter` takes an Account, and `dial`, which connects to the hosts that answers name for files.
    `key_variable` and `admin_key_variable` name the environment variables of the keys of a built-in
    connection, `variables` that of each of the `addresses`. `webhook_headers`, in lower case, are those that
    verify a webhook, each of which a signed one has; empty where the provider signs none. `key_hint` is a
    sentence for people about the form of its keys, which match `key_pattern` as a whole. `keeps`: what stays
    there of a job that the portal deletes, in sentences.
    """

    id: str
    title: str
    make_adapter: Callable[..., Adapter]
    addresses: Mapping[str, str]
    trainers: tuple[Trainer, ...]
    phases: tuple[Phase, ...]
    keeps: str
    capabilities: frozenset[Capability] = frozenset()
    reads_growing_files: bool = False
    key_variable: str = ""
    admin_key_variable: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    webhook_headers: tuple[str, ...] = ()
    key_hint: str = ""
    key_pattern: str = ".*"
