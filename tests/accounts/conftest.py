"""A mail server to send to, and an identity provider that says what a test wants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.accounts.identity_provider import (
    ScriptedIdentityProvider,
    enable_single_sign_on,
    scripted_identity_provider,
)
from tests.notifications.conftest import MailServer, mail

__all__ = ["MailServer", "mail"]


@pytest.fixture
def scripted(settings: Any) -> Iterator[ScriptedIdentityProvider]:
    with scripted_identity_provider() as running:
        enable_single_sign_on(settings, running.issuer)
        settings.OIDC_ADMIT_ALL = True
        yield running
