"""Steps and guidance may be left to the model."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("playground", "0003_due_at"),
    ]

    operations = [
        migrations.AlterField(
            model_name="generation",
            name="guidance",
            field=models.FloatField(null=True),
        ),
        migrations.AlterField(
            model_name="generation",
            name="steps",
            field=models.PositiveIntegerField(null=True),
        ),
    ]
