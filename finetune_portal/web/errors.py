"""What a service says of an action that failed."""

from __future__ import annotations


class ActionError(Exception):
    """The text is for people; `detail` is the technical side, free of keys and signed URLs."""

    def __init__(self, text: str, detail: str = "") -> None:
        super().__init__(text)
        self.detail = detail


class ProviderError(ActionError):
    """It is the upstream that did not do it."""
