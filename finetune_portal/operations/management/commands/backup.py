"""`manage.py backup FILE`: write everything but the secrets into one file, while the portal runs."""

from __future__ import annotations

from argparse import BooleanOptionalAction
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils.timezone import now

from finetune_portal.operations import backups
from finetune_portal.registry.models import ModelFile
from finetune_portal.web.checks import ENVIRONMENT
from finetune_portal.web.encryption import local_key_path


class Command(BaseCommand):
    """Make a backup, and say what is not in it."""

    help = "Write the databases and the files of DATA_DIR into one tar file. The portal may run."
    requires_system_checks = [ENVIRONMENT]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("target", type=Path, help="a file to make, or a folder to make one in")
        parser.add_argument(
            "--models",
            action=BooleanOptionalAction,
            default=settings.BACKUP_MODELS,
            help="put the portal's copies of model files into it, whatever BACKUP_MODELS says",
        )

    def handle(self, *args: Any, target: Path, models: bool, **options: Any) -> None:
        if target.is_dir():
            target /= f"portal-{now():%Y%m%d-%H%M%S}.tar"
        try:
            backups.make(target.absolute(), with_models=models)
        except backups.BackupError as exc:
            raise CommandError(str(exc)) from None
        self.stdout.write(f"{target}: {target.stat().st_size / 1e6:.1f} MB")
        if not models and ModelFile.objects.filter(state=ModelFile.State.STORED).exists():
            self.stdout.write("The copies of model files are not in it: --models puts them in.")
        if connection.vendor != "sqlite":
            self.stdout.write("The portal's database is not in it: use pg_dump.")
        if not settings.ENCRYPTION_KEYS and local_key_path().exists():
            self.stdout.write(
                "The secrets are not in it. Keep a copy of the key that decrypts the API keys elsewhere: "
                f"{local_key_path()}"
            )
