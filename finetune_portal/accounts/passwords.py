"""Argon2id at a memory cost that a few sign-ins at once cannot turn into an outage."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """19 MiB, two rounds, one lane (OWASP's minimum); Django's own default takes 100 MiB a check."""

    memory_cost = 19_456
    time_cost = 2
    parallelism = 1
