"""Get the dataset that a job's `data_source_path` names: an upload to this engine, or a public ZIP URL."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from finetune_portal.engine import fetch, room
from finetune_portal.engine.storage import keys

MAX_BYTES = 5 * 1024**3
BLOCK = 1024 * 1024
SILENCE_SECONDS = 20.0
TOTAL_SECONDS = 900.0


class SourceError(Exception):
    """Says why the dataset is not to be had, in a sentence for its owner."""


def local_copy(
    data_source_path: str,
    *,
    storage: Path,
    into: Path,
    allow: fetch.Allow,
    check_in: Callable[[], None],
) -> Path:
    """The ZIP on disk; a public one is downloaded to `into`. `check_in` raises when the engine stops."""
    if key := keys.from_url(data_source_path):
        path = keys.path(storage, key)
        if not path.is_file():
            raise SourceError("Nothing was uploaded to data_source_path. Upload the ZIP, then submit anew.")
        return path
    try:
        _check_head(data_source_path, allow)
        _download(data_source_path, into, allow, check_in)
    except fetch.FetchError as error:
        raise SourceError(f"The dataset could not be fetched from data_source_path. {error}") from None
    return into


def _check_head(url: str, allow: fetch.Allow) -> None:
    """A public URL must answer HEAD and GET, with Content-Length (docs/provider-api.md, 1)."""
    with fetch.follow("HEAD", url, allow=allow, timeout=SILENCE_SECONDS) as response:
        if response.status != 200:
            raise fetch.FetchError(f"HEAD was answered with {response.status}.")
        _content_length(response.headers.get("Content-Length"))


def _content_length(header: str | None) -> int:
    if header is None or not header.isdecimal():
        raise fetch.FetchError("The answer has no Content-Length.")
    if int(header) > MAX_BYTES:
        raise fetch.FetchError("The file is larger than 5 GiB.")
    return int(header)


def _download(url: str, into: Path, allow: fetch.Allow, check_in: Callable[[], None]) -> None:
    deadline = time.monotonic() + TOTAL_SECONDS
    with fetch.follow("GET", url, allow=allow, timeout=SILENCE_SECONDS) as response:
        if response.status != 200:
            raise fetch.FetchError(f"GET was answered with {response.status}.")
        left = _content_length(response.headers.get("Content-Length"))
        with room.write_announced(into, left) as file:
            while left:
                check_in()
                if time.monotonic() > deadline:
                    raise fetch.FetchError("It took longer than 15 minutes.")
                block = response.read1(min(BLOCK, left))
                if not block:
                    raise fetch.FetchError("The file ended early.")
                file.write(block)
                left -= len(block)
