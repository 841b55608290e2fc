"""Keeps secrets unreadable in the database and its backups: sealed with keys that lie apart from it.

PORTAL_SEALING_KEYS[_FILE] lists them, the newest first: it seals, all of them open. Without it one is made
and kept in `DATA_DIR/secrets`. `manage.py reseal` is for the change of keys.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from finetune_portal import env


class KeyLostError(Exception):
    """What was sealed cannot be opened: the key is not the one of then."""


def local_key_path() -> Path:
    """Where the one is that was made here, when the operator gave none."""
    return Path(settings.DATA_DIR) / "secrets" / "sealing-key"


def _box() -> MultiFernet:
    secrets = settings.SEALING_KEYS or [env.made_once(local_key_path())]
    return MultiFernet([Fernet(urlsafe_b64encode(sha256(secret.encode()).digest())) for secret in secrets])


def encrypt(text: str) -> str:
    return _box().encrypt(text.encode()).decode()


def decrypt(sealed: str) -> str:
    try:
        return _box().decrypt(sealed).decode()
    except InvalidToken:
        raise KeyLostError from None


def rotate(sealed: str) -> str:
    """The same text, sealed with the first of the keys."""
    try:
        return _box().rotate(sealed).decode()
    except InvalidToken:
        raise KeyLostError from None
