"""Which connections a person may change: everyone may see them, only admins change them (views.py)."""

from __future__ import annotations

from django.shortcuts import get_object_or_404

from finetune_portal.connections.models import Connection


def connection_to_change(pk: int) -> Connection:
    return get_object_or_404(Connection, pk=pk)
