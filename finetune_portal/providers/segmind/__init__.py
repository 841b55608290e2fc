"""Segmind's Flux Kontext fine-tuning API: a typed client, and its adapter. Knows nothing of Django."""

from __future__ import annotations

from finetune_portal.providers.http.files import FileSlice, StoredObject
from finetune_portal.providers.provider import Provider
from finetune_portal.providers.segmind.adapter import EVERYWHERE, SegmindAdapter
from finetune_portal.providers.segmind.client import ADDRESSES, KEEPS, SegmindClient
from finetune_portal.providers.segmind.extension import Capabilities, Progress
from finetune_portal.providers.segmind.inference import RunRequest
from finetune_portal.providers.segmind.snapshots import JOB_PHASES
from finetune_portal.providers.segmind.trainer import KONTEXT
from finetune_portal.providers.segmind.types import (
    Credits,
    FineTune,
    PresignedUpload,
    SubmitRequest,
    Submitted,
    phase,
)

PROVIDER = Provider(
    id="segmind",
    title="Segmind",
    make_adapter=SegmindAdapter,
    addresses=ADDRESSES,
    trainers=(KONTEXT,),
    phases=JOB_PHASES,
    keeps=KEEPS,
    capabilities=EVERYWHERE,
    reads_growing_files=True,
)

__all__ = [
    "ADDRESSES",
    "KEEPS",
    "PROVIDER",
    "Capabilities",
    "Credits",
    "FileSlice",
    "FineTune",
    "PresignedUpload",
    "Progress",
    "RunRequest",
    "SegmindAdapter",
    "SegmindClient",
    "StoredObject",
    "SubmitRequest",
    "Submitted",
    "phase",
]
