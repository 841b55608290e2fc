"""Name the fields of a heartbeat. The old rows go: their tasks have other names, and would seem to be dead."""

from django.db import migrations


def delete_heartbeats(apps, schema_editor):
    apps.get_model("worker", "Heartbeat").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("worker", "0001_initial")]

    operations = [
        migrations.RunPython(delete_heartbeats, migrations.RunPython.noop),
        migrations.RenameField("heartbeat", "lane", "task"),
        migrations.RenameField("heartbeat", "at", "beat_at"),
    ]
