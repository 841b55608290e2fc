"""Read the JSON body of an answer strictly, without what a database cannot store."""

from __future__ import annotations

import json
import math
from typing import Any

from finetune_portal.providers.errors import InvalidResponseError


def parse(content: bytes) -> Any:
    """Parse JSON. Whatever is wrong with it raises InvalidResponseError."""
    try:
        value = json.loads(
            content.decode("utf-8-sig"),
            object_pairs_hook=_unique_names,
            parse_constant=_reject_constant,
        )
        return _clean(value)
    except (ValueError, RecursionError) as exc:
        raise InvalidResponseError(invalid("no valid JSON"), detail=type(exc).__name__) from None


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name twice in one object")
    return dict(pairs)


def _reject_constant(name: str) -> Any:
    raise ValueError(name)


def _clean(value: Any) -> Any:
    """Remove NUL, half surrogate pairs and infinity, which JSON can hold and a database refuses."""
    if isinstance(value, dict):
        return {_clean(name): _clean(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_clean(inner) for inner in value]
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def invalid(what: str) -> str:
    """The sentence for people about an answer that makes no sense."""
    return f"The provider sent {what}. This is a fault of the provider; try again in a few minutes."


def missing(what: str) -> InvalidResponseError:
    return InvalidResponseError(invalid(f"an answer without {what}"))
