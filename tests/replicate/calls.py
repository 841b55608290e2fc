"""Plain calls to the fake with its key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from tests.provider.pairs import packed
from tests.replicate.ledger import Job
from tests.replicate.models import MODELS, version_of
from tests.replicate.server import FakeReplicate

PRUNA = "prunaai/p-image-edit-trainer"
KONTEXT = "replicate/fast-flux-kontext-trainer"
DESTINATION = {"owner": "a-team", "name": "portal-1", "visibility": "private", "hardware": "cpu"}


class Calls:
    """What any client of Replicate does, by one request each."""

    def __init__(self, replicate: FakeReplicate) -> None:
        self.replicate = replicate

    def __call__(self, method: str, path: str, *, key: str = "", **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {key or self.replicate.key}", **more.pop("headers", {})}
        url = path if path.startswith("http") else f"{self.replicate.api_url}{path}"
        return requests.request(method, url, headers=headers, timeout=10, **more)

    def upload(self, content: bytes | None = None) -> str:
        data = packed() if content is None else content
        answer = self("POST", "/files", files={"content": ("pairs.zip", data, "application/zip")})
        return str(answer.json()["urls"]["get"])

    def submit(self, model: str = PRUNA, **fields: Any) -> requests.Response:
        """Start a job, with a dataset of its own unless one is given."""
        name = MODELS[model].dataset
        body: dict[str, Any] = {"input": {name: fields.pop(name, None) or self.upload(), **fields}}
        if not MODELS[model].is_training:
            return self("POST", "/predictions", json={"version": version_of(model), **body})
        self("POST", "/models", json=DESTINATION)
        path = f"/models/{model}/versions/{version_of(model)}/trainings"
        return self("POST", path, json={"destination": "a-team/portal-1", **body})

    def started(self, model: str = PRUNA, **fields: Any) -> dict[str, Any]:
        answer = self.submit(model, **fields)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def status(self, job: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self("GET", job["urls"]["get"]).json())

    def ended(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """The object of a job that the fake ends now."""
        self.replicate.finish(self.in_ledger(job))
        return self.status(job)

    def in_ledger(self, job: Mapping[str, Any]) -> Job:
        known = self.replicate.job(job["id"])
        assert known
        return known
