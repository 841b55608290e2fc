"""Why an image is refused, and why none can be decoded now."""

from __future__ import annotations


class ImageError(Exception):
    """Says what is wrong with an image, as a sentence that lacks its subject, such as "is damaged."."""


class DecoderUnavailableError(Exception):
    """Says why no image can be decoded now, in a sentence. Nothing is wrong with the image."""
