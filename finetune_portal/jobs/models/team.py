"""What the team saves beside jobs: limits, views of the table, presets."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from finetune_portal.projects.models import Project


class Limits(models.Model):
    """The one row of limits on paid jobs (limits.py). None is no limit."""

    per_person_day = models.PositiveIntegerField("jobs per person and day", null=True)
    per_team_month = models.PositiveIntegerField("jobs of the team per month", null=True)
    only_admins_publish = models.BooleanField("only admins make models public", default=False)

    def __str__(self) -> str:
        return f"{self.per_person_day} a day, {self.per_team_month} a month"


class SavedView(models.Model):
    """A person's saved filters, order and layout of the table, as a query string."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=500)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="one_view_of_a_name")]

    def __str__(self) -> str:
        return self.name


class Preset(models.Model):
    """A learning rate, a number of steps and further parameters that the team shares under a name.

    One of a private project is seen by its members and admins only.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True, related_name="presets")
    name = models.CharField(max_length=40)
    learning_rate = models.FloatField()
    steps = models.PositiveIntegerField()
    parameters = models.JSONField(default=dict)  # further ones, in their types; the others at their defaults
    note = models.CharField(max_length=80, blank=True)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(project=None), name="one_preset_of_a_name"),
            models.UniqueConstraint(fields=["project", "name"], name="one_preset_of_a_name_a_project"),
        ]

    def __str__(self) -> str:
        return self.name
