from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("engine", "0003_field_names"),
    ]

    operations = [
        migrations.AddField(
            "job", "base_model", models.TextField(blank=True, default=""), preserve_default=False
        ),
    ]
