"""A script that trains by the portal's API with a personal token, as one with the vendor's own calls does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.gateway.api_client import DETAILS, DOWNLOAD, PRESIGNED, SUBMIT
from tests.waiting import until


@dataclass
class Script:
    """The portal at `url`, a token, and all answers of the portal."""

    url: str
    token: str
    answers: list[requests.Response] = field(default_factory=list)

    def call(self, method: str, path: str, payload: dict[str, Any]) -> requests.Response:
        headers = {"x-api-key": self.token}
        answer = requests.request(method, self.url + path, json=payload, headers=headers, timeout=60)
        self.answers.append(answer)
        assert answer.status_code == 200, answer.text
        return answer

    def upload(self, archive: Path) -> str:
        """The address of the ZIP that a submit takes."""
        urls = self.call("GET", PRESIGNED, {"name": archive.name}).json()
        self.answers.append(requests.put(urls["presigned_url"], data=archive.read_bytes(), timeout=60))
        self.answers[-1].raise_for_status()
        return str(urls["s3_url"])

    def start(self, archive: Path, **fields: Any) -> str:
        """The id of a new job."""
        payload = {"data_source_path": self.upload(archive), **fields}
        return str(self.call("POST", SUBMIT, payload).json()["finetune_id"])

    def weights_of(self, job: str) -> bytes:
        """The model file, once the job has ended."""
        details = until(lambda: self._finished(job), seconds=180, why="the job ended")
        assert details["status"] == "AVAILABLE", details
        asked = {"cloud_storage_url": details["cloud_storage_url"]}
        link = self.call("GET", DOWNLOAD, asked).text
        weights = requests.get(link, timeout=60)
        weights.raise_for_status()
        return weights.content

    def _finished(self, job: str) -> dict[str, Any] | None:
        details: dict[str, Any] = self.call("GET", DETAILS, {"request_id": job}).json()["finetune"]
        return details if details["status"] in ("AVAILABLE", "FAILED") else None
