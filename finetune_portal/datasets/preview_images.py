"""Show a preview: the picture, or at once a placeholder while it is being made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.http import FileResponse, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.utils.html import format_html
from django.utils.safestring import SafeString

from finetune_portal.datasets import previews
from finetune_portal.datasets.models import Dataset

SVG = "image/svg+xml"
SECONDS = "1"  # until a browser asks again
# A clock in a grey that stands out on light and dark, in the middle of a canvas as large as the picture.
PENDING = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="{left} {top} {width} '
    '{height}" fill="none" stroke="#8b939b" stroke-width="3" stroke-linecap="round" stroke-linejoin="round">'
    '<circle r="17"/><path d="M0-10V0l7 5"/></svg>'
)
# Browsers show the body of a 404, too; without one they draw a broken picture.
FAILED = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 160" width="160" height="160" fill="none" '
    b'stroke="#8b939b" stroke-width="3" stroke-linejoin="round"><rect x="62" y="64" width="36" height="32" '
    b'rx="4"/><path d="m63 90 11-11 8 8 5-5 10 10M86 73h.1M56 104l48-48"/></svg>'
)


def preview_response(
    preview: Path, request: Callable[[], bool], size: tuple[int, int] = (160, 160)
) -> HttpResponseBase:
    """The picture; a placeholder of `size` where `request` has it made; a 404 where it cannot be made."""
    state = previews.state_of(preview)
    if state == "made":
        response = FileResponse(preview.open("rb"), content_type="image/webp")
        patch_cache_control(response, private=True, max_age=86_400, immutable=True)
        return response
    if state == "missing" and request():
        return HttpResponse(
            _placeholder(*size), status=202, content_type=SVG, headers={"Retry-After": SECONDS}
        )
    return HttpResponse(FAILED, content_type=SVG, status=404)


def _placeholder(width: int, height: int) -> str:
    return PENDING.format(width=width, height=height, left=-width / 2, top=-height / 2)


@dataclass(frozen=True)
class PreviewImage:
    """A preview as an image of a page: its address, and where the file lies."""

    url: str
    path: Path

    @property
    def is_pending(self) -> bool:
        """Whether it is not made yet."""
        return previews.state_of(self.path) == "missing"

    @property
    def attributes(self) -> SafeString:
        """`src`, and `data-pending` where static/js/previews.js is to wait for the picture.

        The placeholder has an address of its own, so that no browser keeps it in place of the picture.
        """
        if self.is_pending:
            return format_html('src="{}?pending" data-pending', self.url)
        return format_html('src="{}"', self.url)


def preview_of_pair(dataset: Dataset, number: int, place: str, edge: str) -> PreviewImage:
    """An image of a pair, such as `start2`. `number` counts the pairs from 0."""
    url = reverse("datasets:picture", args=[dataset.pk, number, place, edge])
    return PreviewImage(url, previews.path_of(dataset, number, place, edge))
