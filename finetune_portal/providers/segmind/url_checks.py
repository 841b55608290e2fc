"""Check the URLs that an answer names: whether each is one, and where files may be sent."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from finetune_portal.providers.segmind.errors import InvalidResponseError

NOT_SECURE = (
    "The provider named an address without https for a file, so nothing was sent there. Tell an admin."
)


def is_http_url(url: str) -> bool:
    parts = _parts(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable() and " " not in url


def check_secure(url: str, base_url: str) -> None:
    """Raise InvalidResponseError unless the URL is https, or plain http to the provider's own host.

    Another port of this machine counts as the own host if the provider runs on this machine, too.
    """
    target, own = _parts(url), _parts(base_url)
    is_own = target.hostname == own.hostname or (_is_this_machine(target) and _is_this_machine(own))
    if target.scheme != "https" and not (target.scheme == own.scheme == "http" and is_own):
        raise InvalidResponseError(NOT_SECURE)


def _parts(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _is_this_machine(parts: SplitResult) -> bool:
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"
