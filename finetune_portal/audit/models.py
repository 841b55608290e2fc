"""Audit events: who did what to which object, from where, with which details.

The database itself refuses to change or delete one (append_only.py).
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.timezone import now

from finetune_portal.audit.sentences import words_around


class AuditEvent(models.Model):
    at = models.DateTimeField(default=now, db_index=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    action = models.CharField(max_length=60)
    thing = models.CharField(max_length=120)
    detail = models.JSONField(default=dict)
    address = models.CharField(max_length=45, blank=True)
    request_id = models.CharField(max_length=16, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["action", "-id"]),
            models.Index(fields=["actor", "-id"]),
            models.Index(fields=["thing", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.thing}"

    @property
    def words(self) -> tuple[str, str | None]:
        """The words of the action before and after the object; None where it is not named (sentences.py)."""
        return words_around(self.action)

    @property
    def change(self) -> tuple[object, object] | None:
        """The values before and after, where the action changed one."""
        if {"before", "after"} <= self.detail.keys():
            return self.detail["before"], self.detail["after"]
        return None

    @property
    def object_name(self) -> object:
        """What the object was called then, or its number, with its kind where the words have not said it."""
        kind, _, number = self.thing.partition(" ")
        unnamed = number if self.words[0].endswith(f" {kind} ") else self.thing
        return self.detail.get("name") or self.detail.get("to") or unnamed

    @property
    def facts(self) -> dict[str, object]:
        """The other details that are not empty."""
        said = ("before", "after", "name", "to")
        return {name: value for name, value in self.detail.items() if name not in said and value != ""}
