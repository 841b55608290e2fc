from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0006_limits"),
        ("playground", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RenameModel(old_name="Trial", new_name="Generation"),
        migrations.RenameField(model_name="generation", old_name="together", new_name="batch"),
        migrations.RenameField(model_name="generation", old_name="partner", new_name="compare_to"),
        migrations.RenameField(model_name="generation", old_name="hosted", new_name="hosted_at"),
        migrations.RenameField(model_name="generation", old_name="created", new_name="created_at"),
        migrations.RenameField(model_name="generation", old_name="started", new_name="started_at"),
        migrations.RenameField(model_name="generation", old_name="ended", new_name="ended_at"),
        migrations.RenameField(model_name="input", old_name="created", new_name="created_at"),
        migrations.RenameIndex(
            model_name="generation",
            old_name="playground__job_id_92ade1_idx",
            new_name="generation_of_job",
        ),
        migrations.RenameIndex(
            model_name="generation", old_name="trial_to_run", new_name="generation_to_run"
        ),
        migrations.AlterField(
            model_name="generation",
            name="compare_to",
            field=models.OneToOneField(
                null=True,
                on_delete=models.deletion.CASCADE,
                related_name="baseline",
                to="playground.generation",
            ),
        ),
        migrations.AlterField(
            model_name="generation",
            name="input",
            field=models.ForeignKey(
                on_delete=models.deletion.PROTECT, related_name="generations", to="playground.input"
            ),
        ),
        migrations.AlterField(
            model_name="generation",
            name="job",
            field=models.ForeignKey(
                on_delete=models.deletion.CASCADE, related_name="generations", to="jobs.job"
            ),
        ),
    ]
