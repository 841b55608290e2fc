"""A project of the team, and its members."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.timezone import now


class Project(models.Model):
    """What jobs and datasets belong to, each to one at most. A private one is seen by members and admins."""

    name = models.CharField(max_length=60)
    folded_name = models.CharField(max_length=200, unique=True, editable=False)  # without case (services.py)
    is_private = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=now)
    updated_at = models.DateTimeField(default=now)  # also when members change

    class Meta:
        ordering = ["folded_name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("projects:detail", args=[self.pk])


class Member(models.Model):
    """A person who works on a project."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    added_at = models.DateTimeField(default=now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="one_membership_a_project")]

    def __str__(self) -> str:
        return f"{self.user} in {self.project}"
