"""Make, rename, close and open projects, add and remove members. Each change is in the audit record."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.dispatch import Signal
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.projects.models import Member, Project
from finetune_portal.web.errors import ActionError

DELETED = "The project was deleted meanwhile, so nothing was moved."
GONE = "The project was deleted meanwhile, so nothing was changed."

# `project` is to be private: an app above this one raises an ActionError in the transaction if it cannot be.
# The project is not locked yet: what the app locks before it in the order (jobs/limits.py) comes first.
closing = Signal()


class NameTakenError(Exception):
    """A project has this name, in small or capital letters."""


def add(name: str, *, actor: User) -> Project:
    """Raises NameTakenError."""
    try:
        with transaction.atomic():
            project = Project.objects.create(name=name, folded_name=_folded(name))
            record(actor, "project.add", project, name=name)
    except IntegrityError:
        raise NameTakenError from None
    return project


def rename(project: Project, name: str, *, actor: User) -> None:
    """Raises NameTakenError, and ActionError where the project was deleted meanwhile."""
    try:
        with transaction.atomic():
            before = lock(project)
            _update(project, name=name, folded_name=_folded(name))
            record(actor, "project.rename", project, before=before.name, after=name)
    except IntegrityError:
        raise NameTakenError from None


def set_private(project: Project, *, private: bool, actor: User) -> None:
    """Show what belongs to the project to members and admins only, or to the team again.

    Raises ActionError where something outside of the project is made of what is in it, and where it was
    deleted meanwhile.
    """
    with transaction.atomic():
        if private:
            closing.send(sender=Project, project=project)
        before = lock(project)
        if before.is_private == private:
            return
        _update(project, is_private=private)
        old, new = ("open", "private") if private else ("private", "open")
        record(actor, f"project.{new}", project, name=before.name, before=old, after=new)
    project.is_private = private


def touch(*projects: Project | None) -> None:
    """Note that something came to or left these projects, by which open pages learn of it.

    Raises ActionError where one of them was deleted meanwhile.
    """
    keys = {each.pk for each in projects if each}
    rows = Project.objects.filter(pk__in=keys)
    list(rows.select_for_update(no_key=True).order_by("pk").values_list("pk"))  # in one order: no deadlock
    if rows.update(updated_at=now()) < len(keys):
        raise ActionError(DELETED)


def lock(project: Project) -> Project:
    """The project as it is now, until the end of the transaction. Raises ActionError where it was deleted."""
    locked = Project.objects.select_for_update(no_key=True).filter(pk=project.pk).first()
    if locked is None:
        raise ActionError(GONE)
    return locked


def add_member(project: Project, person: User, *, actor: User) -> None:
    """Raises ActionError where the project was deleted meanwhile."""
    with transaction.atomic():
        locked = lock(project)
        _, is_new = Member.objects.get_or_create(project=project, user=person)
        if is_new:
            _update(project)
            record(actor, "project.member-added", project, name=locked.name, person=_named(person))


def remove_member(member: Member, *, actor: User | None) -> None:
    """`actor` is None where the person left the team."""
    project = member.project
    with transaction.atomic():
        _update(project)  # first, as whoever deletes the project has it before its members
        if Member.objects.filter(pk=member.pk).delete()[0]:
            record(actor, "project.member-removed", project, name=project.name, person=_named(member.user))


def remove_memberships(person: User) -> None:
    for member in Member.objects.filter(user=person).select_related("project", "user"):
        remove_member(member, actor=None)


def _update(project: Project, **fields: Any) -> None:
    Project.objects.filter(pk=project.pk).update(updated_at=now(), **fields)


def _folded(name: str) -> str:
    return name.casefold()


def _named(person: User) -> str:
    return f"{person} <{person.email}>"
