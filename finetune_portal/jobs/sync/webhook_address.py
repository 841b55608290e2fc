"""The address that a provider posts to about one attempt to submit a job.

It has the attempt's nonce, signed with SECRET_KEY: nobody makes one up, and a wrong one costs no query.
"""

from __future__ import annotations

from urllib.parse import urljoin

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse

from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Attempt
from finetune_portal.providers.contract import Adapter, Capability
from finetune_portal.web.public_address import is_public_https

SALT = "webhook of an attempt"


def address_for(connection: Connection, adapter: Adapter, nonce: str) -> str:
    """Empty where the provider signs no webhook, or cannot reach the portal by https."""
    if Capability.WEBHOOKS not in adapter.capabilities or not is_public_https(settings.PORTAL_URL):
        return ""
    path = reverse("webhooks:receive-signed", args=[connection.provider, _signer().sign(nonce)])
    return urljoin(settings.PORTAL_URL, path)


def attempt_at(provider: str, token: str) -> Attempt | None:
    """The attempt of an address; None if the portal made no such address, or its connection is not in use."""
    try:
        nonce = _signer().unsign(token)
    except BadSignature:
        return None
    connections = Connection.objects.in_use().filter(provider=provider)
    attempts = Attempt.objects.select_related("job__connection", "connection")
    attempts = attempts.filter(connection__in=connections)
    return attempts.filter(job__nonce=nonce.partition("-")[0], nonce=nonce).first()


def _signer() -> Signer:
    return Signer(sep=".", salt=SALT)
