"""The calls of tus 1.0, one by one."""

from __future__ import annotations

import base64
from typing import Any

import requests

from tests.e2e.conftest import Portal

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}


def begin(portal: Portal, ada: requests.Session, size: int, name: str = "night.zip") -> requests.Response:
    metadata = f"filename {base64.b64encode(name.encode()).decode()}"
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": metadata}
    return ada.post(f"{portal.url}/uploads/", headers=headers, timeout=10)


def send(url: str, ada: requests.Session, offset: int, data: Any, **headers: str) -> requests.Response:
    return ada.patch(url, data=data, headers={**PIECE, "Upload-Offset": str(offset), **headers}, timeout=10)
