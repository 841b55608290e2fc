"""Encrypt secrets in the database, with keys that are kept apart from it and from its backups.

PORTAL_ENCRYPTION_KEYS[_FILE] lists the keys. The first one encrypts, all of them decrypt. Without it
one key is created in `DATA_DIR/secrets`. `manage.py rotate_encryption_keys` serves to change keys.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from finetune_portal import env


class KeyLostError(Exception):
    """A value cannot be decrypted: the key that encrypted it is not in the list."""


def local_key_path() -> Path:
    """Return the path of the key that the portal creates when the operator gives none."""
    return Path(settings.DATA_DIR) / "secrets" / "sealing-key"


def _fernet() -> MultiFernet:
    secrets = settings.ENCRYPTION_KEYS or [env.made_once(local_key_path())]
    return MultiFernet([Fernet(urlsafe_b64encode(sha256(secret.encode()).digest())) for secret in secrets])


def encrypt(text: str) -> str:
    return _fernet().encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    try:
        return _fernet().decrypt(token).decode()
    except InvalidToken:
        raise KeyLostError from None


def rotate(token: str) -> str:
    """Encrypt the same text again with the first key. Raises KeyLostError."""
    try:
        return _fernet().rotate(token).decode()
    except InvalidToken:
        raise KeyLostError from None
