"""What the limited child is asked to make of a picture, and how that can fail."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["preview", "input", "format"]
FAILURES = frozenset({"missing", "broken", "pixels", "memory"})


class PictureTask(NamedTuple):
    """A picture at `source`, or the `member` of a ZIP there, to be written to `target`.

    A `preview` is a WebP; an `input` is a PNG, or a JPEG where a PNG is large. Both are `plain` and at most
    `edge` pixels wide and high. A `format` writes nothing.
    """

    source: str
    member: str
    target: str
    edge: int
    kind: Kind = "preview"
