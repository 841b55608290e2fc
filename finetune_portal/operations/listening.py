"""Try whether a server may listen on an address, before anything is prepared."""

from __future__ import annotations

import errno
import socket

from finetune_portal import env

LAST_PORT = 65_535


class ListenError(Exception):
    """Nothing can listen there. The text says why and what to do."""


def must_be_free(host: str, port: int, host_name: str, port_name: str) -> None:
    """Raise ListenError where `host` and `port` cannot be listened on; the names are their variables'."""
    if port > LAST_PORT:
        raise ListenError(f"{port_name} must be at most {LAST_PORT}, not {port}.")
    try:
        addresses = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError):
        text = f"{host_name}={host} is no address. Use one of this machine, such as 127.0.0.1, 0.0.0.0 or ::"
        raise ListenError(text) from None
    family, kind, protocol, _, address = addresses[0]
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as exc:
        raise ListenError(_reason(exc, host, port, host_name, port_name)) from None


def _reason(exc: OSError, host: str, port: int, host_name: str, port_name: str) -> str:
    match exc.errno:
        case errno.EADDRINUSE:
            return (
                f"Port {port} is in use. Stop what listens there, or choose another one: "
                f"{port_name}={port + 1}"
            )
        case errno.EACCES:
            return f"This user may not listen on port {port}. Choose one above 1023: {port_name}=8000"
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return f"{host} is no address of this machine. Choose one that is: {host_name}=127.0.0.1"
        case _:
            address = env.socket_address(host, port)
            return f"Nothing can listen on {address} ({exc.strerror}). Change {host_name} or {port_name}."
