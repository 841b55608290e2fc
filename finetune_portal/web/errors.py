"""Errors that a service raises when an action fails."""

from __future__ import annotations


class ActionError(Exception):
    """`str()` is a sentence for people; `detail` is for the operator, free of keys and signed URLs."""

    def __init__(self, text: str, detail: str = "") -> None:
        super().__init__(text)
        self.detail = detail


class ProviderError(ActionError):
    """The provider refused the action, or could not be reached."""
