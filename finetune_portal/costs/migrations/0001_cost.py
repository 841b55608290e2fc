"""The ledger of what paid acts cost."""

from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import finetune_portal.costs.amounts


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("connections", "0012_admin_key_failure"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Cost",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "kind",
                    models.CharField(choices=[("job", "Job"), ("generation", "Generation")], max_length=10),
                ),
                ("subject", models.PositiveBigIntegerField()),
                ("number", models.PositiveIntegerField(default=1)),
                ("job", models.PositiveBigIntegerField()),
                ("title", models.CharField(blank=True, max_length=80)),
                ("token", models.CharField(blank=True, max_length=80)),
                ("currency", models.CharField(max_length=10)),
                ("estimate", finetune_portal.costs.amounts.AmountField(null=True)),
                (
                    "estimate_source",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("price", "The price that the provider publishes"),
                            ("bill", "The provider’s bill"),
                            ("answer", "The provider’s answer to the run"),
                            ("balance", "What the balance fell by while nothing else was paid"),
                        ],
                        max_length=10,
                    ),
                ),
                ("estimated_at", models.DateTimeField(null=True)),
                ("bill", finetune_portal.costs.amounts.AmountField(null=True)),
                (
                    "bill_source",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("price", "The price that the provider publishes"),
                            ("bill", "The provider’s bill"),
                            ("answer", "The provider’s answer to the run"),
                            ("balance", "What the balance fell by while nothing else was paid"),
                        ],
                        max_length=10,
                    ),
                ),
                ("billed_at", models.DateTimeField(null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("reserved", "Not sent yet"),
                            ("unconfirmed", "Answer lost"),
                            ("unbilled", "No bill yet"),
                            ("billed", "Billed"),
                            ("released", "Not charged"),
                        ],
                        default="reserved",
                        max_length=12,
                    ),
                ),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "connection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="costs",
                        to="connections.connection",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="costs",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["at", "id"], name="costs_by_time"),
                    models.Index(fields=["person", "at"], name="costs_of_a_person"),
                    models.Index(fields=["connection", "at"], name="costs_of_a_connection"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("kind", "subject", "number"), name="one_cost_an_act"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "billed"), _negated=True),
                            ("bill__isnull", False),
                            _connector="OR",
                        ),
                        name="billed_cost_has_a_bill",
                    ),
                ],
            },
        ),
    ]
