"""Around a paid request: what is checked and asked before it, the wait for its end, the picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import TypeVar

from finetune_portal.providers.contract import GenerateRequest
from finetune_portal.providers.errors import CallError, InvalidResponseError, RequestRejectedError
from finetune_portal.providers.http.exchange import LARGE
from finetune_portal.providers.http.files import Files
from finetune_portal.providers.http.image_format import image_format
from finetune_portal.providers.http.json_body import missing
from finetune_portal.providers.parameter import Parameter, ParameterError

T = TypeVar("T")
RUN_SECONDS = 300.0
FIRST_PAUSE, LAST_PAUSE = 0.25, 2.0  # seconds between two questions
DOWNLOAD_TRIES = 2


def check_numbers(request: GenerateRequest, bounds: Iterable[Parameter]) -> None:
    """Raise RequestRejectedError for a number that is out of bounds."""
    for each in bounds:
        value = getattr(request, each.name)
        try:
            if value is not None:
                each.read(value)
        except ParameterError as exc:
            raise RequestRejectedError(str(exc)) from None


@contextmanager
def unpaid() -> Iterator[None]:
    """Mark each error of what is asked before a paid request: that one was not sent."""
    try:
        yield
    except CallError as exc:
        exc.may_have_been_sent = False
        raise


@contextmanager
def paid() -> Iterator[None]:
    """Mark each error: the model was accepted, so the run may have been charged."""
    try:
        yield
    except CallError as exc:
        exc.may_have_been_sent = True
        raise


def wait_for(ask: Callable[[], T | None], max_seconds: float) -> T | None:
    """Ask until there is an output; None when the time is over. A question that fails is asked again."""
    deadline = time.monotonic() + min(RUN_SECONDS, max_seconds)
    pause = FIRST_PAUSE
    while time.monotonic() < deadline:
        try:
            if (output := ask()) is not None:
                return output
        except CallError as exc:
            if not exc.retryable:
                raise
        time.sleep(pause)
        pause = min(pause * 1.5, LAST_PAUSE)
    return None


def picture_at(address: str, files: Files, provider: str) -> bytes:
    """Download the picture that an output names. Closes `files`."""
    with closing(files):
        content = _download(files, address, provider)
    if not image_format(content):
        raise missing("a picture")
    return content


def _download(files: Files, address: str, provider: str, tries: int = DOWNLOAD_TRIES) -> bytes:
    try:
        return files.get_whole(address, LARGE)
    except CallError as exc:
        if tries > 1:
            return _download(files, address, provider, tries - 1)
        sentence = f"{provider} made the picture, but the portal cannot download it from there."
        raise InvalidResponseError(sentence, status=exc.status, detail=exc.detail) from None
