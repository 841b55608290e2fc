"""Plain calls to the fake with its key, and a dataset that its trainers take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from tests.fal.server import FakeFal
from tests.provider.pairs import PAIR, packed

__all__ = ["KLEIN", "KONTEXT", "PAIR", "Calls", "packed"]

KONTEXT = "fal-ai/flux-kontext-trainer"
KLEIN = "fal-ai/flux-2-klein-4b-base-trainer/edit"


class Calls:
    """What any client of fal does, by one request each."""

    def __init__(self, fal: FakeFal) -> None:
        self.fal = fal

    def __call__(self, method: str, url: str, *, key: str = "", **more: Any) -> requests.Response:
        headers = {"Authorization": f"Key {key or self.fal.key}", **more.pop("headers", {})}
        return requests.request(method, url, headers=headers, timeout=10, **more)

    def upload(self, content: bytes | None = None, **headers: str) -> str:
        token = self(
            "POST", f"{self.fal.rest_url}/storage/auth/token?storage_type=fal-cdn-v3", json={}
        ).json()
        headers |= {"Authorization": f"Bearer {token['token']}", "X-Fal-File-Name": "pairs.zip"}
        data = packed() if content is None else content
        answer = requests.post(f"{token['base_url']}/files/upload", data=data, headers=headers, timeout=10)
        return str(answer.json()["access_url"])

    def submit(self, endpoint: str = KONTEXT, query: str = "", **fields: Any) -> dict[str, Any]:
        """The answer to a job, with a dataset of its own unless one is given."""
        fields = {"image_data_url": "", "steps": 500} | fields
        fields["image_data_url"] = fields["image_data_url"] or self.upload()
        answer = self("POST", f"{self.fal.queue_url}/{endpoint}{query}", json=fields)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def status(self, job: Mapping[str, Any], logs: int = 0) -> requests.Response:
        return self("GET", f"{job['status_url']}?logs={logs}")

    def result(self, job: Mapping[str, Any]) -> requests.Response:
        return self("GET", job["response_url"])

    def ended(self, job: Mapping[str, Any]) -> requests.Response:
        """The result of a job that the fake ends now."""
        ledger = self.fal.job(job["request_id"])
        assert ledger
        self.fal.finish(ledger)
        return self.result(job)

    def api(self, path: str, **more: Any) -> requests.Response:
        return self("GET", f"{self.fal.api_url}{path}", **more)
