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
            about = current_trainer().about()
        except TrainerUnavailableError as error:
            raise CommandError(str(error)) from None
        if about["simulated"]:
            return "It only simulates."
        tiny = ", a tiny model to see trainings work" if about["tiny_model"] else ""
        return f"It trains {about['base_model']}{tiny}."
