"""Rename AccessToken to PersonalToken, and its dates."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("gateway", "0001_initial"),
    ]

    operations = [
        migrations.RenameModel("AccessToken", "PersonalToken"),
        migrations.RenameField("personaltoken", "created", "created_at"),
        migrations.RenameField("personaltoken", "expires", "expires_at"),
        migrations.RenameField("personaltoken", "last_used", "last_used_at"),
        migrations.RenameField("personaltoken", "revoked", "revoked_at"),
    ]
