"""`manage.py reseal`: the name that `rotate_encryption_keys` had in version 0.1. Goes with the next."""

from __future__ import annotations

from finetune_portal.operations.management.commands.rotate_encryption_keys import Command

__all__ = ["Command"]
