"""Check that the weights of one part of a model are whole, by their names and headers.

A .safetensors file begins with the length of its header, and the header says where its last tensor ends. So a
download that was not finished is found without reading the numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_HEADER = 100_000_000
UNFINISHED = "the download was not finished"


class WeightFileError(Exception):
    """Says what is wrong with a file of weights, in a sentence for the operator."""


def check(folder: Path, stem: str) -> None:
    """Check `stem`.safetensors, or all shards that `stem`.safetensors.index.json names."""
    single, index = folder / f"{stem}.safetensors", folder / f"{stem}.safetensors.index.json"
    if index.exists():
        _check_shards(index)
    elif single.exists() or single.is_symlink():
        _tensors(single)
    else:
        raise WeightFileError(f"{folder} has no {single.name}: {UNFINISHED}.")


def _check_shards(index: Path) -> None:
    try:
        shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        by_shard: dict[str, set[str]] = {name: set() for name in shards.values()}
        for tensor, name in shards.items():
            by_shard[name].add(tensor)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise WeightFileError(f"{index} is not an index of weights: {UNFINISHED}.") from None
    absent = [name for name in sorted(by_shard) if not (index.parent / name).is_file()]
    if absent:
        raise WeightFileError(
            f"{index.parent} lacks {len(absent)} of {len(by_shard)} files, such as {absent[0]}: {UNFINISHED}."
        )
    for name, tensors in sorted(by_shard.items()):
        if not tensors <= _tensors(index.parent / name).keys():
            raise WeightFileError(f"{index.parent / name} does not have the weights that {index.name} lists.")


def _tensors(path: Path) -> Mapping[str, Any]:
    """The header of a whole file, by the names of its tensors."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            header = file.read(length) if length <= min(size, MAX_HEADER) else b""
    except OSError:
        raise WeightFileError(f"{path} cannot be read: {UNFINISHED}.") from None
    if start == b"version ":
        raise WeightFileError(f"{path} is a pointer of Git LFS, not the weights. Run: git lfs pull")
    try:
        tensors = json.loads(header)
        tensors.pop("__metadata__", None)
        end = 8 + length + max(tensor["data_offsets"][1] for tensor in tensors.values())
    except (ValueError, LookupError, TypeError, AttributeError):
        raise WeightFileError(f"{path} is not a whole .safetensors file: {UNFINISHED}.") from None
    if size != end:
        raise WeightFileError(f"{path} has {size:,} of {end:,} bytes: {UNFINISHED}.")
    checked: dict[str, Any] = tensors
    return checked
