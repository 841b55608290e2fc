"""Save and delete a person's views of the table."""

from __future__ import annotations

from django.db import transaction

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.jobs.models import SavedView


def save_view(owner: User, *, name: str, query: str) -> SavedView:
    """Save a view; one with the same name is replaced."""
    with transaction.atomic():
        view, _ = SavedView.objects.update_or_create(owner=owner, name=name, defaults={"query": query})
        record(owner, "view.keep", view, name=name, query=query)
    return view


def delete_view(view: SavedView, *, actor: User) -> None:
    with transaction.atomic():
        record(actor, "view.drop", view, name=view.name)
        view.delete()
