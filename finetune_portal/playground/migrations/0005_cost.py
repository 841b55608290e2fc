"""What a generation cost, where the provider's answer says so."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("playground", "0004_own_numbers"),
    ]

    operations = [
        migrations.AddField("generation", "cost", models.FloatField(null=True)),
        migrations.AddField("generation", "currency", models.CharField(default="credits", max_length=10)),
    ]
