"""The request as a view sees it behind the sign-in."""

from __future__ import annotations

from finetune_portal.accounts.models import User
from finetune_portal.web.http import HtmxRequest


class PortalRequest(HtmxRequest):
    """A request by somebody who is signed in. For annotations only."""

    user: User
