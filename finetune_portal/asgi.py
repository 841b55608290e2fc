"""The front door: pages go to Django, an upload's bytes and the live stream to raw endpoints beside it.

A Django view under ASGI would spool a body to disk before its first line runs, and once more when it
saves it (reference figures in docs/architecture.md). And it would hold a thread for each open stream.
"""

from __future__ import annotations

import os
import re
import warnings
from io import BytesIO
from typing import Any, cast

from django.core.asgi import get_asgi_application
from django.core.handlers.asgi import ASGIRequest

# Static files and previews are small: Django may read each whole before it sends it.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finetune_portal.settings")
django = get_asgi_application()

from finetune_portal.datasets.receive import as_meant, receive_piece  # noqa: E402 - needs the apps loaded
from finetune_portal.gateway.addresses import UPLOADS  # noqa: E402
from finetune_portal.gateway.receive import receive_file  # noqa: E402
from finetune_portal.jobs.live import live  # noqa: E402
from finetune_portal.web.asgi import Receive, Scope, Send  # noqa: E402
from finetune_portal.web.bodies import bounded  # noqa: E402
from finetune_portal.web.origin import answering  # noqa: E402

BESIDE_DJANGO = (
    ("PATCH", re.compile("/uploads/.*"), receive_piece),
    ("PUT", re.compile(f"{UPLOADS}.*"), receive_file),
    ("GET", re.compile("/live/"), live),
)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    scope = as_meant(scope)
    if scope["type"] == "http":
        for method, path, endpoint in BESIDE_DJANGO:
            if method == scope["method"] and path.fullmatch(scope["path"]):
                with answering(ASGIRequest(scope, BytesIO())):
                    await endpoint(scope, receive, send)
                return
        await bounded(cast(Any, django), scope, receive, send)
    else:
        await django(cast(dict[str, Any], scope), receive, cast(Any, send))
