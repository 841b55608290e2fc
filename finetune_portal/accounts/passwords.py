"""Password hashing that parallel sign-ins cannot exhaust, and a check for guessable words."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.exceptions import ValidationError

# What anybody guesses who knows this portal.
CONTEXT_WORDS = (
    "finetune|finetuning|portal|segmind|kontext|flux|lora|training|dataset|"
    "password|passwort|admin|maker|viewer|welcome|company|team"
)
MIN_REST = 8


class Argon2idPasswordHasher(Argon2PasswordHasher):
    """Argon2id with 19 MiB, two passes, one thread: OWASP's minimum. Django's default needs 100 MiB."""

    memory_cost = 19_456
    time_cost = 2
    parallelism = 1


class ContextWordsValidator:
    """Refuse a password that is little more than words of the portal and of its address."""

    def validate(self, password: str, user: object = None) -> None:
        host = re.findall("[a-z]{3,}", urlsplit(settings.PORTAL_URL).hostname or "")
        rest = re.sub("|".join([CONTEXT_WORDS, *host]), "", password.lower())
        if len(rest) < MIN_REST and rest != password.lower():
            raise ValidationError("Too easy to guess. Use words that have nothing to do with the portal.")

    def get_help_text(self) -> str:
        return "Words that have nothing to do with the portal."
