"""Models at Replicate: the newest version of a trainer, and where a training puts its own.

docs/provider-replicate.md, 2.2 and 9.1. All of it is free of charge.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

from finetune_portal.providers.contract import Availability, Trainer
from finetune_portal.providers.errors import RequestRejectedError
from finetune_portal.providers.http.exchange import LARGE
from finetune_portal.providers.http.json_body import missing
from finetune_portal.providers.http.values import mapping, text
from finetune_portal.providers.replicate.client import Client
from finetune_portal.providers.replicate.errors import error_for
from finetune_portal.providers.replicate.trainers import REPORTED, TABLE

NO_VERSION = "Replicate does not have this trainer any more, so nothing was sent."
HARDWARE = "cpu"  # a destination never runs


class Catalogue:
    def __init__(self, client: Client) -> None:
        self._client = client

    def trainers(self) -> list[Trainer]:
        """Those of the table: closed without a version, open unless a report speaks against it."""
        return [replace(each.trainer, availability=self._availability(name)) for name, each in TABLE.items()]

    def version(self, name: str) -> str:
        """The id of the newest version. Raises RequestRejectedError where there is none."""
        if version := self._version(name):
            return version
        raise RequestRejectedError(NO_VERSION)

    def owner(self) -> str:
        """The name of the account. Raises UnauthorizedError for a key that is not accepted."""
        name = text(self._client.call("GET", f"{self._client.api}/account").json().get("username"))
        if not name:
            raise missing("the name of the account")
        return name

    def destination(self, nonce: str) -> str:
        """The private model of this attempt, created unless an attempt that broke off did."""
        owner, name = self.owner(), f"portal-{nonce}"
        if self._model(f"{owner}/{name}") is None:
            body = {"owner": owner, "name": name, "visibility": "private", "hardware": HARDWARE}
            self._client.call("POST", f"{self._client.api}/models", json=body)
        return f"{owner}/{name}"

    def _availability(self, name: str) -> Availability:
        if not self._version(name):
            return Availability.CLOSED
        return Availability.UNKNOWN if name in REPORTED else Availability.OPEN

    def _version(self, name: str) -> str:
        return text(mapping((self._model(name) or {}).get("latest_version")).get("id"))

    def _model(self, name: str) -> dict[str, Any] | None:
        """What Replicate says of a model; None where it says that there is none."""
        answer = self._client.ask("GET", f"{self._client.api}/models/{quote(name)}", cap=LARGE)
        if answer.is_ok:
            return answer.json()
        if answer.status == 404 and answer.fields():  # not the page of a proxy
            return None
        raise error_for(answer, self._client.key)
