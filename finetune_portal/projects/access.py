"""Who may see a project, and with it what belongs to it: the one rule that all other access.py ask.

A private project exists for its members and for admins. For everybody else all doors answer as they do for
what is not there.
"""

from __future__ import annotations

from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404

from finetune_portal.accounts.models import User
from finetune_portal.projects.models import Member, Project


def hidden(user: User) -> QuerySet[Project]:
    """The private projects that this person may not see."""
    private = Project.objects.filter(is_private=True).order_by()
    if not user.is_active:
        return private
    if user.can_administer:
        return private.none()
    return private.exclude(pk__in=Member.objects.filter(user=user).values("project"))


def is_seen(user: User, path: str = "project") -> Q:
    """The condition for rows whose project, at this path of columns, is none or one that the person sees.

    It reads the list of hidden projects once, and of the rows only the column, which indexes of jobs hold.
    """
    return Q() if user.can_administer else ~Q(**{f"{path}__in": hidden(user)})


def visible(user: User) -> QuerySet[Project]:
    rows = Project.objects.filter(is_seen(user, "pk"))
    return rows if user.is_active else rows.none()


def project_to_see(user: User, pk: int) -> Project:
    return get_object_or_404(visible(user), pk=pk)


def joined(user: User) -> QuerySet[Project]:
    """The projects that a person works on; an admin works on all."""
    return visible(user) if user.can_administer else visible(user).filter(members__user=user)


def name_of(project: Project | None) -> str:
    """The project in the audit record."""
    return project.name if project else "the team"


def may_see(user: User, project: Project | None) -> bool:
    if project is None or not project.is_private:
        return user.is_active
    return user.can_administer or (user.is_active and project.members.filter(user=user).exists())


def is_widened(before: Project | None, after: Project | None) -> bool:
    """Whether a move shows something of a private project to people who did not see it there."""
    if before is None or not before.is_private or before == after:
        return False
    if after is None or not after.is_private:
        return True
    return after.members.exclude(user__in=before.members.values("user")).exists()


def hidden_from(people: list[User]) -> dict[int, frozenset[int]]:
    """The keys of the private projects that each of these people may not see, by the key of the person.

    Two queries for all of them.
    """
    if not people:
        return {}
    private = frozenset(Project.objects.filter(is_private=True).values_list("pk", flat=True))
    if not private:
        return {person.pk: frozenset() for person in people}
    own: dict[int, set[int]] = {person.pk: set() for person in people}
    rows = Member.objects.filter(user__in=own, project__in=private)
    for person, project in rows.values_list("user", "project"):
        own[person].add(project)
    return {
        person.pk: frozenset() if person.can_administer else private - own[person.pk] for person in people
    }


def membership(user: User, pk: int) -> Member:
    rows = Member.objects.filter(is_seen(user)).select_related("project", "user")
    return get_object_or_404(rows, pk=pk)
