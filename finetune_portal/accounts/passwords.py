"""Argon2id at a memory cost that a few sign-ins at once cannot turn into an outage; no guessable words."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.exceptions import ValidationError

# What anyone tries who knows what this is.
WORDS = (
    "finetune|finetuning|portal|segmind|kontext|flux|lora|training|dataset|"
    "password|passwort|admin|maker|viewer|welcome|company|team"
)
REST = 8


class Argon2(Argon2PasswordHasher):
    """19 MiB, two rounds, one lane (OWASP's minimum); Django's own default takes 100 MiB a check."""

    memory_cost = 19_456
    time_cost = 2
    parallelism = 1


class NotOfThisPlace:
    """Refuses a password that is little more than the words of the portal and of its address."""

    def validate(self, password: str, user: object = None) -> None:
        host = re.findall("[a-z]{3,}", urlsplit(settings.PORTAL_URL).hostname or "")
        rest = re.sub("|".join([WORDS, *host]), "", password.lower())
        if len(rest) < REST and rest != password.lower():
            raise ValidationError("Too easy to guess here: take words that have nothing to do with it.")

    def get_help_text(self) -> str:
        return "Words that have nothing to do with the portal."
