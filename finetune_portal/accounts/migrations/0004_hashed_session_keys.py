"""Store sessions under a hash of what the cookie holds. Nobody is signed out."""

from typing import Any

from django.db import migrations

from finetune_portal.accounts.session_store import key_of


def hash_keys(apps: Any, schema_editor: Any) -> None:
    sessions = apps.get_model("sessions", "Session").objects
    of_people = apps.get_model("usersessions", "UserSession").objects
    for key in list(sessions.values_list("session_key", flat=True)):
        sessions.filter(session_key=key).update(session_key=key_of(key))
    for key in list(of_people.values_list("session_key", flat=True)):
        of_people.filter(session_key=key).update(session_key=key_of(key))


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_field_names"),
        ("sessions", "0001_initial"),
        ("usersessions", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(hash_keys, migrations.RunPython.noop),
    ]
