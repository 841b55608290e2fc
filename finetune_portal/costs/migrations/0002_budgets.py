"""Budgets of a month, approvals of what is over one, and the project of a cost."""

from __future__ import annotations

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import finetune_portal.costs.amounts


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0012_admin_key_failure"),
        ("costs", "0001_cost"),
        ("projects", "0001_projects"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="cost",
            name="project",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="costs",
                to="projects.project",
            ),
        ),
        migrations.AlterField(
            model_name="cost",
            name="bill_source",
            field=models.CharField(
                blank=True,
                choices=[
                    ("price", "The price that the provider publishes"),
                    ("past", "The highest of the latest bills of such runs"),
                    ("bill", "The provider’s bill"),
                    ("answer", "The provider’s answer to the run"),
                    ("balance", "What the balance fell by while nothing else was paid"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="cost",
            name="estimate_source",
            field=models.CharField(
                blank=True,
                choices=[
                    ("price", "The price that the provider publishes"),
                    ("past", "The highest of the latest bills of such runs"),
                    ("bill", "The provider’s bill"),
                    ("answer", "The provider’s answer to the run"),
                    ("balance", "What the balance fell by while nothing else was paid"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="cost",
            name="state",
            field=models.CharField(
                choices=[
                    ("approval", "Waiting for approval"),
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
        migrations.CreateModel(
            name="Approval",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("reason", models.CharField(max_length=500)),
                ("asked_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("decided_at", models.DateTimeField(db_index=True, null=True)),
                ("is_approved", models.BooleanField(null=True)),
                ("comment", models.CharField(blank=True, max_length=500)),
                (
                    "cost",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="approval", to="costs.cost"
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Budget",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("currency", models.CharField(max_length=10)),
                ("amount", finetune_portal.costs.amounts.AmountField()),
                (
                    "action",
                    models.CharField(
                        choices=[("warn", "Warn"), ("ask", "Ask an admin"), ("stop", "Stop")],
                        default="warn",
                        max_length=4,
                    ),
                ),
                (
                    "connection",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="budgets",
                        to="connections.connection",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="budgets",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="budgets",
                        to="projects.project",
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
            },
        ),
    ]
