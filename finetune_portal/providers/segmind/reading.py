"""Reads the body of an answer: JSON that is whole, without what a database cannot hold."""

from __future__ import annotations

import json
import math
from typing import Any

from finetune_portal.providers.segmind.errors import InvalidResponseError


def parse(content: bytes) -> Any:
    """Parse JSON strictly: whatever is wrong with it raises InvalidResponseError."""
    try:
        told = json.loads(
            content.decode("utf-8-sig"),
            object_pairs_hook=_no_twins,
            parse_constant=_no_constant,
        )
        return _clean(told)
    except (ValueError, RecursionError) as exc:
        raise InvalidResponseError(odd("no valid JSON"), detail=type(exc).__name__) from None


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name twice in one object")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _clean(value: Any) -> Any:
    """Without NUL, half characters and infinity, which JSON can spell and a database refuses."""
    if isinstance(value, dict):
        return {_clean(name): _clean(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_clean(inner) for inner in value]
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def odd(what: str) -> str:
    return f"The upstream sent {what}. That is its fault; try again in a few minutes."


def odd_shape(what: str) -> InvalidResponseError:
    return InvalidResponseError(odd(f"an answer without {what}"))
