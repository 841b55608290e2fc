"""Read environment variables. The only module of the portal and the local engine that does.

It holds no settings. Each reader takes a name and a default, and raises ImproperlyConfigured with a sentence
for a bad value, so that a typing error stops the start and not a job.
"""

from __future__ import annotations

import errno
import os
import resource
import secrets
import shlex
import sys
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from stat import S_IMODE, S_ISDIR
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

OPEN_MAX = 10_240  # of macOS, whose hard limit is no number and is refused
ROOM_LOCK = "room.lock"  # in DATA_DIR; whoever takes room on its disk holds it meanwhile
ROOT = Path(__file__).resolve().parent.parent
_YES = {"1", "true", "yes", "on"}
_NO = {"0", "false", "no", "off", ""}
# Names of version 0.1, which still work where the new name is not set.
_OLD_NAMES = {
    "PORTAL_ENCRYPTION_KEYS": "PORTAL_SEALING_KEYS",
    "PORTAL_ENCRYPTION_KEYS_FILE": "PORTAL_SEALING_KEYS_FILE",
    "PORTAL_PROVIDER_URLS": "PORTAL_UPSTREAMS",
}


def text(name: str, default: str = "") -> str:
    value = os.environ.get(name, "").strip() or os.environ.get(_OLD_NAMES.get(name, name), "").strip()
    return value or default


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
    """Return the value of NAME, or the content of the file that NAME_FILE names; empty if neither is set."""
    if value := text(name):
        return value
    if path := text(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as exc:
            raise ImproperlyConfigured(f"{name}_FILE cannot be read: {exc.strerror}.") from None
        except UnicodeDecodeError:
            raise ImproperlyConfigured(f"{name}_FILE cannot be read: it is no text.") from None
    return ""


def kept_secret(name: str, path: Path) -> str:
    """Return the secret, or without one the random secret that `made_once` keeps in `path`."""
    return secret(name) or made_once(path)


def made_once(path: Path) -> str:
    """Return a random secret, created at the first call and kept in `path` for the owner only.

    Raises ImproperlyConfigured where the file cannot be read or made.
    """
    try:
        return _made_once(path)
    except OSError as exc:
        raise ImproperlyConfigured(not_usable(Path(exc.filename or path), str(exc.strerror))) from None
    except UnicodeDecodeError:
        sentence = f"{path} is damaged: it is no text. Put a copy of it back, or delete it for a new one."
        raise ImproperlyConfigured(sentence) from None


def _made_once(path: Path) -> str:
    if path.exists() and not path.read_text(encoding="utf-8").strip():
        path.unlink()  # everybody could guess an empty secret
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48), encoding="utf-8")
        with suppress(FileExistsError):  # two processes may start at once; the first one's secret stays
            os.link(draft, path)
        draft.unlink()
    return path.read_text(encoding="utf-8").strip()


def whole() -> dict[str, str]:
    """Return the environment as it is, to pass it on to a child process."""
    return dict(os.environ)


def data_dir() -> Path:
    """Return DATA_DIR, the folder of everything that is written; by default `data/` in the checkout."""
    return (ROOT / text("DATA_DIR", "data")).resolve()


def disk_floor() -> int:
    """Return how many bytes of the disk of DATA_DIR stay free, for the databases and all else."""
    return integer("DISK_FLOOR_BYTES", 500_000_000)


def keep_data_private() -> None:
    """Give other users of this machine nothing of DATA_DIR. Each entry point calls this first.

    Files that the process and its children make are for their owner only. A DATA_DIR of this user that an
    earlier release left open is closed, and that is said on stderr.
    """
    os.umask(0o077)
    folder = data_dir()
    with suppress(OSError):  # there is none yet, or the start says why it cannot be used
        stat = folder.stat()
        is_own = S_ISDIR(stat.st_mode) and stat.st_uid == os.geteuid()
        if is_own and (mode := S_IMODE(stat.st_mode)) & 0o077:
            folder.chmod(0o700)
            sys.stderr.write(f"{folder} had mode {mode:o}; it has 700 now: it is for its owner only.\n")


def raise_file_limit() -> None:
    """Let this process and its children open all files that they may. Each entry point calls this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, OPEN_MAX), hard))


def not_usable(path: Path, reason: str) -> str:
    """Say that this user cannot use a file or folder of DATA_DIR, and what to do."""
    folder, user = data_dir(), os.geteuid()
    if reason == os.strerror(errno.EROFS):
        return (
            f"{path} cannot be written: DATA_DIR ({folder}) is on a read-only file system. Mount it for "
            "writing, or set DATA_DIR to another folder."
        )
    return (
        f"{path} cannot be used by user {user} ({reason}). DATA_DIR is {folder}: give it and all that is "
        f"in it to this user (chown -R {user} {shlex.quote(str(folder))}), start the portal as its owner, or "
        "set DATA_DIR to another folder."
    )


def socket_address(host: str, port: int) -> str:
    """Return `host:port` with an IPv6 address in brackets, as in URLs; `host` may have them already."""
    host = host.strip("[]")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_of(url: str) -> str:
    """Return the host of a URL without its port, as a Host header names it; empty without one."""
    host = urlsplit(url).hostname or ""
    return f"[{host}]" if ":" in host else host


def near_url(host: str, port: int) -> str:
    """Return the URL at which this machine reaches a server of its own that listens on `host`."""
    host = host.strip("[]")
    try:
        address = ip_address(host)
    except ValueError:
        return f"http://{socket_address(host, port)}"
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    return f"http://{socket_address(host, port)}"
