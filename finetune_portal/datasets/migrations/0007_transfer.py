from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0001_initial"),
        ("datasets", "0006_upload_metadata"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="carry", name="one_trip_to_a_connection"),
        migrations.RenameModel(old_name="Carry", new_name="Transfer"),
        migrations.AlterField(
            model_name="transfer",
            name="connection",
            field=models.ForeignKey(
                on_delete=models.deletion.CASCADE, related_name="transfers", to="connections.connection"
            ),
        ),
        migrations.AlterField(
            model_name="transfer",
            name="dataset",
            field=models.ForeignKey(
                on_delete=models.deletion.CASCADE, related_name="transfers", to="datasets.dataset"
            ),
        ),
        migrations.RenameField(model_name="transfer", old_name="sent", new_name="bytes_sent"),
        migrations.RenameField(model_name="transfer", old_name="done", new_name="finished_at"),
        migrations.AddConstraint(
            model_name="transfer",
            constraint=models.UniqueConstraint(
                fields=("dataset", "connection"), name="one_transfer_per_connection"
            ),
        ),
        migrations.RenameField(model_name="dataset", old_name="created", new_name="created_at"),
        migrations.RenameField(model_name="dataset", old_name="changed", new_name="updated_at"),
        migrations.RenameField(model_name="dataset", old_name="deleted", new_name="deleted_at"),
        migrations.RenameField(model_name="dataset", old_name="file_gone", new_name="file_removed_at"),
    ]
