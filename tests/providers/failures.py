"""The error of a call to a provider, which must show no secret."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from finetune_portal.providers.errors import CallError


# `...`: a lambda made in a loop holds the loop's variable as a default.
def failure(call: Callable[..., object], *secrets: str) -> CallError:
    """The error of a call, which shows none of the secrets."""
    with pytest.raises(CallError) as caught:
        call()
    error = caught.value
    shown = f"{error} {error!r} {error.detail} {error.__dict__} {error.args}"
    assert not [secret for secret in secrets if secret in shown]
    assert error.__suppress_context__ or error.__context__ is None
    return error
