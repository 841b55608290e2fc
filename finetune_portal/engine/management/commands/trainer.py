"""Say which model this engine trains, or why it cannot."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand, CommandError

from finetune_portal.engine.trainers.current import TrainerUnavailableError, current_trainer


class Command(BaseCommand):
    help = "Say which model trains, or what keeps it from training."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> str:
        try:
            models = current_trainer().models
        except TrainerUnavailableError as error:
            raise CommandError(str(error)) from None
        tiny = ", a tiny model to see trainings work"
        lines = [f"It trains {each.name}{tiny if each.is_tiny else ''}." for each in models]
        return "\n".join(lines) or "It only simulates."
