"""The client of the upstream that the settings name: the vendor's API or the local engine."""

from __future__ import annotations

import threading

from django.conf import settings

from finetune_portal.segmind import SegmindClient

_local = threading.local()


def get_client() -> SegmindClient:
    """One client a thread: its connections are not shared."""
    wanted = (settings.SEGMIND_BASE_URL, settings.SEGMIND_API_KEY)
    if getattr(_local, "wanted", None) != wanted:
        _local.client, _local.wanted = SegmindClient(*wanted), wanted
    client: SegmindClient = _local.client
    return client
