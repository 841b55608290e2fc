"""The front door: pages go to Django, an upload's bytes and the live stream to raw endpoints beside it.

A Django view under ASGI would spool a body to disk before its first line runs, and once more when it
saves it. And it would hold a thread for each open stream.
"""

from __future__ import annotations

import os
import re
from io import BytesIO

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.db import DatabaseError
from django.urls import set_script_prefix

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finetune_portal.settings")
django.setup(set_prefix=False)

from finetune_portal.datasets.upload.tus import override_method, receive_chunk  # noqa: E402 - needs the apps loaded
from finetune_portal.gateway.upload import receive_file  # noqa: E402
from finetune_portal.gateway.upload_urls import UPLOADS  # noqa: E402
from finetune_portal.jobs.live.stream import live  # noqa: E402
from finetune_portal.storage.uploads import spool  # noqa: E402
from finetune_portal.web import busy, disk_full  # noqa: E402
from finetune_portal.web.asgi import Receive, Scope, Send, respond  # noqa: E402
from finetune_portal.web.asgi_handler import ThreadPoolASGIHandler  # noqa: E402
from finetune_portal.web.body_limits import limit_body  # noqa: E402
from finetune_portal.web.request_context import bind_request  # noqa: E402

pages = ThreadPoolASGIHandler(spool)
PREFIX = settings.FORCE_SCRIPT_NAME or ""

BESIDE_DJANGO = (
    ("PATCH", re.compile("/uploads/.*"), receive_chunk),
    ("PUT", re.compile(f"{UPLOADS}.*"), receive_file),
    ("GET", re.compile("/live/"), live),
)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        return  # not accepted: gunicorn answers 403
    if scope["type"] != "http":
        raise ValueError(f"The portal speaks HTTP alone, not {scope['type']}.")
    set_script_prefix(f"{PREFIX}/")
    scope = override_method({**scope, "path": _path_below_prefix(scope["path"])})
    try:
        await _respond(scope, receive, send)
    except DatabaseError as exc:  # of what runs beside Django; web/views.py answers for pages
        if not busy.is_busy(exc):
            raise
        await respond(send, 503, busy.HEADERS, busy.SENTENCE)
    except OSError as exc:  # while a body arrives; web/views.py answers for pages
        if not (sentence := disk_full.sentence(exc)):
            raise
        await respond(send, disk_full.STATUS, {"Connection": "close"}, sentence)


async def _respond(scope: Scope, receive: Receive, send: Send) -> None:
    for method, path, endpoint in BESIDE_DJANGO:
        if method == scope["method"] and path.fullmatch(scope["path"]):
            with bind_request(ASGIRequest(scope, BytesIO())):
                await endpoint(scope, receive, send)
            return
    await limit_body(_page, scope, receive, send)


async def _page(scope: Scope, receive: Receive, send: Send) -> None:
    await pages({**scope, "path": PREFIX + scope["path"], "root_path": PREFIX}, receive, send)


def _path_below_prefix(path: str) -> str:
    """Return the path without that of PORTAL_URL, which a proxy may have taken away."""
    if path == PREFIX or path.startswith(f"{PREFIX}/"):
        path = path.removeprefix(PREFIX)
    return path or "/"
