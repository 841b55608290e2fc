"""A person's saved views of the table: its tabs, and how one is saved, renamed and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from django.db import IntegrityError, transaction

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record, redact
from finetune_portal.jobs.models import SavedView
from finetune_portal.projects.models import Project
from finetune_portal.web.errors import ActionError

MAX_TABS = 3  # the further ones fold into a menu


def view_tabs(owner: User, active: Mapping[str, str], layout: str) -> dict[str, Any]:
    """The views with a tab, those in the menu, and the current one. `active` filters and sorts the table."""
    views = list(SavedView.objects.filter(owner=owner))
    current = next((view for view in views if _shows(view, active, layout)), None)
    tabs = views[:MAX_TABS]
    if current and current not in tabs:
        tabs = [*tabs[:-1], current]
    return {
        "views": tabs,
        "more_views": [view for view in views if view not in tabs],
        "current_view": current,
        "can_save_view": bool(active) and current is None,
    }


def _shows(view: SavedView, active: Mapping[str, str], layout: str) -> bool:
    """Whether the table is as the view has it. One of an earlier release names no layout."""
    query = dict(parse_qsl(view.query))
    return query.pop("layout", layout) == layout and query == dict(active)


def save_view(owner: User, *, name: str, query: str) -> SavedView:
    """Save a view; one with the same name is replaced."""
    with transaction.atomic():
        view, _ = SavedView.objects.update_or_create(owner=owner, name=name, defaults={"query": query})
        record(owner, "view.keep", view, name=name, query=query)
    return view


def rename_view(view: SavedView, *, name: str, actor: User) -> None:
    """Give a view another name. Raises ActionError where another one of the person has it."""
    before = view.name
    if name == before:
        return
    try:
        with transaction.atomic():
            SavedView.objects.filter(pk=view.pk).update(name=name)
            record(actor, "view.rename", view, before=before, after=name)
    except IntegrityError:
        raise ActionError(f"You have another view with the name “{name}”.") from None


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
