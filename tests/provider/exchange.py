"""What the fake provider is asked, and how a test has it answer: well, oddly, or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qsl

BLOCK = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """How one call is answered. `taken`: it is carried out, and a submit charged, whatever is answered."""

    status: int = 200
    body: bytes | None = None  # None is the right body, that of a call which was carried out
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    ending: str = "whole"  # or half, slow, endless, drip, hang, close, reset, raw
    taken: bool = True


def says(status: int, payload: Any = b"", *, taken: bool | None = None, **headers: str) -> Answer:
    """Answer with a status and a body: bytes as they are, all else as JSON. Carried out if it is no error."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, body, named, taken=status < 400 if taken is None else taken)


def breaks(ending: str = "close", *, taken: bool) -> Answer:
    """No answer: the connection is closed, or torn (`reset`), or left open (`hang`)."""
    return Answer(ending=ending, taken=taken)


def half() -> Answer:
    """Carried out, but the right answer breaks in its middle."""
    return Answer(ending="half")


def endless(ending: str = "endless", body: bytes = b"[" * BLOCK) -> Answer:
    """A body that is sent again and again, without a pause or slowly (`drip`)."""
    return Answer(body=body, ending=ending)


def raw(answer: bytes, *, taken: bool = False) -> Answer:
    """These bytes in place of a whole HTTP answer, then the end."""
    return Answer(body=answer, ending="raw", taken=taken)


@dataclass(frozen=True)
class Request:
    """What arrived, complete. Header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    port: int  # the client's: one connection, one port

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        """The fields of a multipart or an urlencoded form."""
        kind = self.headers.get("content-type", "")
        if not kind.startswith("multipart/form-data"):
            return dict(parse_qsl(self.body.decode()))
        message = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + self.body)
        parts = [part for part in message.walk() if not part.is_multipart()]
        names = [str(part.get_param("name", header="content-disposition")) for part in parts]
        return dict(zip(names, (str(part.get_payload()) for part in parts), strict=True))
