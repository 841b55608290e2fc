"""The only reader of the environment, shared by the portal and the local engine.

Holds no settings: each reader takes a name and a default and refuses a bad value in a sentence,
so that a typing error stops the start and not a training.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent
_YES = {"1", "true", "yes", "on"}
_NO = {"0", "false", "no", "off", ""}


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def flag(name: str, *, default: bool = False) -> bool:
    value = text(name).lower()
    if name not in os.environ:
        return default
    if value in _YES:
        return True
    if value in _NO:
        return False
    raise ImproperlyConfigured(f"{name} must be yes or no, not {value!r}.")


def integer(name: str, default: int, *, least: int = 0) -> int:
    value = text(name, str(default))
    try:
        number = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from None
    if number < least:
        raise ImproperlyConfigured(f"{name} must be at least {least}, not {number}.")
    return number


def decimal(name: str, default: float, *, above: float = 0.0) -> float:
    value = text(name, str(default))
    try:
        number = float(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number, not {value!r}.") from None
    if not above < number < float("inf"):
        raise ImproperlyConfigured(f"{name} must be above {above}, not {value}.")
    return number


def listing(name: str, default: str = "") -> list[str]:
    return [item.strip() for item in text(name, default).split(",") if item.strip()]


def networks(name: str, default: str = "") -> list[IPv4Network | IPv6Network]:
    try:
        return [ip_network(item) for item in listing(name, default)]
    except ValueError as exc:
        text = f"{name} must list addresses or networks such as 10.1.0.0/16: {exc}."
        raise ImproperlyConfigured(text) from None


def secret(name: str) -> str:
    """The value of NAME, or the content of the file that NAME_FILE points at; empty if neither."""
    if value := text(name):
        return value
    if path := text(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as exc:
            raise ImproperlyConfigured(f"{name}_FILE cannot be read: {exc.strerror}.") from None
    return ""


def kept_secret(name: str, path: Path) -> str:
    """Like `secret`, but when not given the one that `made_once` keeps in `path`."""
    return secret(name) or made_once(path)


def made_once(path: Path) -> str:
    """A random secret, made at the first call and kept in `path`, readable by the owner only."""
    if path.exists() and not path.read_text(encoding="utf-8").strip():
        path.unlink()  # an empty one would be everybody's
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48), encoding="utf-8")
        with suppress(FileExistsError):  # two processes may start at once: the first one's stays
            os.link(draft, path)
        draft.unlink()
    return path.read_text(encoding="utf-8").strip()


def whole() -> dict[str, str]:
    """The environment as it is, to hand on to a child process."""
    return dict(os.environ)


def data_dir() -> Path:
    """The one folder that everything written lives in: DATA_DIR, by default `data/` in the checkout."""
    return (ROOT / text("DATA_DIR", "data")).resolve()
