"""A typed client of Segmind's Flux Kontext fine-tuning API, on requests alone. Knows nothing of Django."""

from __future__ import annotations

from finetune_portal.providers.segmind.client import SegmindClient
from finetune_portal.providers.segmind.errors import (
    BadReply,
    Busy,
    Closed,
    Interrupted,
    Occupied,
    OutOfCredits,
    Rejected,
    SegmindError,
    ServerTrouble,
    Unauthorized,
    Unreachable,
)
from finetune_portal.providers.segmind.extra import Progress
from finetune_portal.providers.segmind.inference import RunRequest
from finetune_portal.providers.segmind.types import (
    Credits,
    FineTune,
    PresignedUpload,
    SubmitRequest,
    Submitted,
    phase,
)

__all__ = [
    "BadReply",
    "Busy",
    "Closed",
    "Credits",
    "FineTune",
    "Interrupted",
    "Occupied",
    "OutOfCredits",
    "PresignedUpload",
    "Progress",
    "Rejected",
    "RunRequest",
    "SegmindClient",
    "SegmindError",
    "ServerTrouble",
    "SubmitRequest",
    "Submitted",
    "Unauthorized",
    "Unreachable",
    "phase",
]
