"""Check the URLs that an answer names: whether each is one, and where files may be sent."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from finetune_portal.providers.errors import InvalidResponseError

NOT_SECURE = (
    "The provider named an address without https for a file, so nothing was sent there. Tell an admin."
)
NOT_PLAIN = "The provider named an address with a name in it for a file, so it is not used. Tell an admin."


def is_http_url(url: str) -> bool:
    parts = _parts(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable() and " " not in url


def check_secure(url: str, base_url: str) -> None:
    """Raise InvalidResponseError unless the URL is https, or plain http to the provider's own host.

    Neither may have a name in it. Another port of this machine counts as the own host if the provider runs on
    this machine, too.
    """
    target, own = _parts(url), _parts(base_url)
    is_own = is_own_host(target.hostname or "", base_url)
    if target.scheme != "https" and not (target.scheme == own.scheme == "http" and is_own):
        raise InvalidResponseError(NOT_SECURE)
    if "@" in target.netloc or "\\" in url:  # some read a backslash as a slash, and then another host
        raise InvalidResponseError(NOT_PLAIN)


def is_at(url: str, base: str) -> bool:
    """Whether an address lies below a configured one, without a way out of it."""
    is_below = url.startswith(f"{base}/") and is_http_url(url)
    return is_below and "\\" not in url and ".." not in url


def is_own_host(host: str, base_url: str) -> bool:
    """Whether a host is the provider's own. Both on this machine are the same, by whatever name."""
    host, own = host.strip("[]").lower(), _parts(base_url).hostname or ""
    return bool(host) and (host == own or (_is_this_machine(host) and _is_this_machine(own)))


def _parts(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
