"""The rows of the engine: jobs, the registered webhook, and its outbox.

Each row knows its state and when it is next due, so whatever starts after a crash goes on from here.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from finetune_portal.engine import states


class Job(models.Model):
    """One fine-tune request. `due` is when it leaves its state; none once it has come to its end."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.TextField()
    data_source_path = models.TextField()
    instance_prompt = models.TextField(blank=True)
    steps = models.PositiveIntegerField()
    learning_rate = models.FloatField()
    parameters = models.JSONField(default=dict)  # what advance_parameters set beside these two
    trained_by = models.JSONField(default=dict)  # what the trainer told about itself when it began
    cancelled = models.BooleanField(default=False)
    public = models.BooleanField(default=False)
    price = models.FloatField()
    base_url = models.TextField()  # scheme and host the job was submitted to, for URLs in webhooks
    state = models.TextField(default=states.REQUESTED)
    due = models.DateTimeField(null=True, db_index=True)
    error_message = models.TextField(blank=True)
    dataset_sha256 = models.TextField(blank=True)
    pairs = models.PositiveIntegerField(default=0)
    weights = models.TextField(blank=True)  # key in the storage
    created = models.DateTimeField(default=timezone.now, db_index=True)
    changed = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.name} ({self.state})"


class Webhook(models.Model):
    """Where news goes. One is active at a time (docs/provider-api.md, 7.1)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    url = models.TextField()
    types = models.JSONField(default=list)
    trusted = models.BooleanField(default=False)  # given by the operator in ENGINE_WEBHOOK_URL
    active = models.BooleanField(default=True)
    note = models.TextField(blank=True)  # why it was switched off
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["active"], condition=models.Q(active=True), name="one_active_webhook"
            )
        ]

    def __str__(self) -> str:
        return f"webhook {self.id}"


class Delivery(models.Model):
    """One event on its way to the webhook. Its id is the `webhook-id` of every try."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="deliveries")
    status = models.TextField()  # the state of the job that it tells of
    body = models.TextField()
    tries = models.PositiveIntegerField(default=0)
    due = models.DateTimeField(null=True, db_index=True)
    answer = models.TextField(blank=True)  # of the last try: an HTTP status or why there was none
    sent = models.DateTimeField(null=True)
    created = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.status} of {self.job_id}"
