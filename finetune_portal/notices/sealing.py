"""Keeps an address unreadable in the database and its backups: sealed with a key in `DATA_DIR/secrets`."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from finetune_portal import env


class KeyLost(Exception):
    """What was sealed cannot be opened: the key is not the one of then."""


def _box() -> Fernet:
    secret = env.made_once(Path(settings.DATA_DIR) / "secrets" / "notices-key")
    return Fernet(urlsafe_b64encode(sha256(secret.encode()).digest()))


def seal(text: str) -> str:
    return _box().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    try:
        return _box().decrypt(sealed).decode()
    except InvalidToken:
        raise KeyLost from None
