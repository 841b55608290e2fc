"""Save and delete a person's views of the table."""

from __future__ import annotations

from urllib.parse import parse_qsl

from django.db import transaction

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record, redact
from finetune_portal.jobs.models import SavedView
from finetune_portal.projects.models import Project


def save_view(owner: User, *, name: str, query: str) -> SavedView:
    """Save a view; one with the same name is replaced."""
    with transaction.atomic():
        view, _ = SavedView.objects.update_or_create(owner=owner, name=name, defaults={"query": query})
        record(owner, "view.keep", view, name=name, query=query)
    return view


def forget_project(project: Project) -> None:
    """Delete the views that show the jobs of a project that is deleted: they would show nothing."""
    key = str(project.pk)
    views = SavedView.objects.filter(query__contains=f"project={key}")
    gone = [view for view in views if dict(parse_qsl(view.query)).get("project") == key]
    redact(gone)
    SavedView.objects.filter(pk__in=[view.pk for view in gone]).delete()


def delete_view(view: SavedView, *, actor: User) -> None:
    with transaction.atomic():
        record(actor, "view.drop", view, name=view.name)
        view.delete()
