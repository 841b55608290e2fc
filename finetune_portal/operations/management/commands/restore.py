"""`manage.py restore FILE`: restore a backup into a DATA_DIR without a database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from finetune_portal.accounts import services
from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.notifications.models import Channel
from finetune_portal.operations import backups
from finetune_portal.web.checks import ENVIRONMENT
from finetune_portal.web.encryption import KeyLostError, decrypt


class Command(BaseCommand):
    """Restore a backup, and say what people have to look at afterwards."""

    help = "Restore a backup into an empty DATA_DIR. Stop everything that runs there first."
    requires_system_checks = [ENVIRONMENT]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("source", type=Path, help="a file that `manage.py backup` made")
        parser.add_argument(
            "--deactivate",
            action="append",
            default=[],
            metavar="EMAIL",
            help="an account that was deactivated since the backup was made; may be given again",
        )

    def handle(self, *args: Any, source: Path, deactivate: list[str], **options: Any) -> None:
        try:
            restored = backups.restore(source)
        except backups.BackupError as exc:
            raise CommandError(str(exc)) from None
        for email in deactivate:
            self._deactivate(email)
        self.stdout.write(
            f"Restored as of {restored.made_at:%d %b %Y, %H:%M} UTC, with {restored.files} files."
        )
        if restored.unconfirmed:
            self.stdout.write(
                f"{restored.unconfirmed} jobs were waiting and may have been submitted since. The worker "
                "looks for them in the provider's list; an admin decides about those that are not in it."
            )
        if restored.missing_models:
            self.stdout.write(
                f"{restored.missing_models} copies of model files are not in the backup. The worker copies "
                "them again from their providers; Settings, Models names those that it cannot get."
            )
        if lost := sum(not _can_decrypt(value) for value in _encrypted_values()):
            self.stdout.write(
                f"{lost} API keys or notification addresses cannot be decrypted with this key. "
                "Put the old secrets/sealing-key in its place, or enter them again on Settings."
            )
        self.stdout.write(
            "Everything is as it was then. What was deleted since is back: jobs with their models, datasets, "
            "projects and pictures. So are roles that were taken and members who were removed. The record is "
            "from then, too, and does not name it: docs/operations.md says how to find it in the old "
            "database. Delete it again before people sign in."
        )
        accounts = User.objects.filter(is_active=True).order_by("email")
        active = ", ".join(accounts.values_list("email", flat=True))
        self.stdout.write(
            "Everybody is signed out, and open invitations, links to set a password and personal tokens have "
            f"ended. These accounts are active: {active or 'none'}. If one was deactivated since the backup "
            "was made, deactivate it again on the page Team."
        )

    def _deactivate(self, email: str) -> None:
        """Report what cannot be done and go on: the restore itself is complete by now."""
        person = User.objects.filter(email=email.strip().lower()).first()
        if person is None:
            self.stderr.write(f"There is no account {email} in the backup.")
            return
        try:
            services.deactivate(person, actor=None)
        except services.LastAdminError:
            self.stderr.write(f"{email} stays active: the portal would have no admin.")


def _encrypted_values() -> list[str]:
    keys = Connection.objects.values_list("encrypted_key", "encrypted_admin_key")
    addresses = Channel.objects.values_list("encrypted_address", flat=True)
    return [*(key for pair in keys for key in pair if key), *addresses]


def _can_decrypt(value: str) -> bool:
    try:
        decrypt(value)
    except KeyLostError:
        return False
    return True
