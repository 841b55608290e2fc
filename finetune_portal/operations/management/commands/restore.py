"""`manage.py restore FILE`: the way back from a backup, into a DATA_DIR without a database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from finetune_portal.connections.models import Connection
from finetune_portal.notifications.models import Channel
from finetune_portal.operations import backups
from finetune_portal.web.encryption import KeyLostError, decrypt


class Command(BaseCommand):
    """Says what people have to look at afterwards."""

    help = "Put a backup back into an empty DATA_DIR. Nothing may run there meanwhile."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", type=Path, help="a file that `manage.py backup` made")

    def handle(self, *args: Any, source: Path, **options: Any) -> None:
        try:
            restored = backups.restore(source)
        except backups.Unusable as exc:
            raise CommandError(str(exc)) from None
        self.stdout.write(f"Back as of {restored.made:%d %b %Y, %H:%M} UTC, with {restored.files} files.")
        if restored.doubtful:
            told = "trainings were waiting then and may have been sent since. They are looked for in the"
            self.stdout.write(
                f"{restored.doubtful} {told} upstream's list; of what is not there, an admin decides."
            )
        if lost := sum(not _opens(sealed) for sealed in _sealed()):
            told = "API keys or addresses of notifications cannot be opened by this sealing key. Put the old"
            self.stdout.write(
                f"{lost} {told} secrets/sealing-key in its place, or give them anew on Settings."
            )


def _sealed() -> list[str]:
    keys = Connection.objects.exclude(encrypted_key="").values_list("encrypted_key", flat=True)
    return [*keys, *Channel.objects.values_list("encrypted_address", flat=True)]


def _opens(sealed: str) -> bool:
    try:
        decrypt(sealed)
    except KeyLostError:
        return False
    return True
