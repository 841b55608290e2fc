"""The tables of the engine: jobs, the registered webhook, and its outbox.

Each row knows its state and when it is next due, so a process that starts after a crash goes on from here.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from finetune_portal.engine import states


class Job(models.Model):
    """One fine-tune request. It leaves its state at `due_at`; at its end that is None."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.TextField()
    data_source_path = models.TextField()
    instance_prompt = models.TextField(blank=True)
    base_model = models.TextField(blank=True)  # of trainers/families/layouts.py; empty for FLUX.1 Kontext
    steps = models.PositiveIntegerField()
    learning_rate = models.FloatField()
    parameters = models.JSONField(default=dict)  # of advance_parameters, without these two
    trained_by = models.JSONField(default=dict)  # Trainer.about() when the training began
    is_cancelled = models.BooleanField(default=False)
    is_public = models.BooleanField(default=False)
    price = models.FloatField()
    base_url = models.TextField()  # scheme and host that the job was submitted to, for URLs in webhooks
    state = models.TextField(default=states.REQUESTED)
    due_at = models.DateTimeField(null=True, db_index=True)
    error_message = models.TextField(blank=True)
    dataset_sha256 = models.TextField(blank=True)
    pairs = models.PositiveIntegerField(default=0)
    weights = models.TextField(blank=True)  # key in the storage
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    updated_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.name} ({self.state})"


class Webhook(models.Model):
    """Where events go. One webhook is active at a time (docs/provider-api.md, 7.1)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    url = models.TextField()  # empty for the operator's
    types = models.JSONField(default=list)
    is_trusted = models.BooleanField(default=False)  # set by the operator in ENGINE_WEBHOOK_URL
    is_active = models.BooleanField(default=True)
    note = models.TextField(blank=True)  # why it is inactive
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["is_active"], condition=models.Q(is_active=True), name="one_active_webhook"
            )
        ]

    def __str__(self) -> str:
        return f"webhook {self.id}"

    @property
    def address(self) -> str:
        """Where to post. The operator's is a secret, so it is only in the settings and in no backup."""
        return settings.WEBHOOK_URL if self.is_trusted else self.url


class Delivery(models.Model):
    """One event on its way to the webhook. Its id is the `webhook-id` of every try."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="deliveries")
    status = models.TextField()  # the job's state that the event tells of
    body = models.TextField()
    tries = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True, db_index=True)
    answer = models.TextField(blank=True)  # of the last try: an HTTP status, or why there was none
    sent_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.status} of {self.job_id}"
