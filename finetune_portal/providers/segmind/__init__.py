"""A typed client of Segmind's Flux Kontext fine-tuning API, on requests alone. Knows nothing of Django."""

from __future__ import annotations

from finetune_portal.providers.segmind.client import SegmindClient
from finetune_portal.providers.segmind.errors import (
    ConnectionLostError,
    InvalidResponseError,
    OutOfCreditsError,
    RateLimitedError,
    RequestRejectedError,
    SegmindError,
    ServerError,
    StorageError,
    TrainingClosedError,
    UnauthorizedError,
    UnavailableError,
    UnreachableError,
)
from finetune_portal.providers.segmind.extension import Capabilities, Progress
from finetune_portal.providers.segmind.inference import RunRequest
from finetune_portal.providers.segmind.types import (
    Credits,
    FileSlice,
    FineTune,
    PresignedUpload,
    StoredObject,
    SubmitRequest,
    Submitted,
    phase,
)

__all__ = [
    "Capabilities",
    "ConnectionLostError",
    "Credits",
    "FileSlice",
    "FineTune",
    "InvalidResponseError",
    "OutOfCreditsError",
    "PresignedUpload",
    "Progress",
    "RateLimitedError",
    "RequestRejectedError",
    "RunRequest",
    "SegmindClient",
    "SegmindError",
    "ServerError",
    "StorageError",
    "StoredObject",
    "SubmitRequest",
    "Submitted",
    "TrainingClosedError",
    "UnauthorizedError",
    "UnavailableError",
    "UnreachableError",
    "phase",
]
