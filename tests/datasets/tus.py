"""The calls of tus 1.0, one by one, to a running web process."""

from __future__ import annotations

import base64
from typing import Any

import requests

TUS = {"Tus-Resumable": "1.0.0"}
CHUNK_HEADERS = {**TUS, "Content-Type": "application/offset+octet-stream"}


def begin(url: str, maker: requests.Session, size: int, name: str = "night.zip") -> requests.Response:
    """Announce a file to the portal at this address."""
    metadata = f"filename {base64.b64encode(name.encode()).decode()}"
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": metadata}
    return maker.post(f"{url}/uploads/", headers=headers, timeout=30)


def send(url: str, maker: requests.Session, offset: int, data: Any, **headers: str) -> requests.Response:
    """Send a chunk to the address of an upload."""
    named = {**CHUNK_HEADERS, "Upload-Offset": str(offset), **headers}
    return maker.patch(url, data=data, headers=named, timeout=30)
