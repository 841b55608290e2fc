"""A request as the fake sees it: the host of fal's that is meant, and the addresses that an answer names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.provider.exchange import Answer, Request, says

# fal's hosts, by service. Files are served from two.
HOSTS = {
    "queue.fal.run": "queue",
    "queue.falrun.com": "queue",
    "rest.fal.ai": "rest",
    "rest.alpha.fal.ai": "rest",
    "v3.fal.media": "cdn",
    "v3b.fal.media": "cdn",
    "api.fal.ai": "api",
}
PUBLIC = {"queue": "queue.fal.run", "rest": "rest.fal.ai", "cdn": "v3b.fal.media", "api": "api.fal.ai"}
PROXY = "/proxy"  # where the JavaScript client sends everything when it is given a proxy


@dataclass(frozen=True)
class FalRequest(Request):
    """What arrived. `path` begins behind the service; `host` is the one that was asked, with its port."""

    scheme: str = "http"
    service: str = ""  # queue, rest, cdn or api; empty where no host of fal's is meant
    host: str = ""

    @classmethod
    def read(cls, raw: Request, scheme: str) -> FalRequest:
        """By the name of the host, by the first part of the path, or by the JavaScript client's target."""
        path, query, host = raw.path, raw.query, raw.headers.get("host", "")
        if path == PROXY and (target := raw.headers.get("x-fal-target-url")):
            parts = urlsplit(target)
            path, query = parts.path, parts.query
            service = HOSTS.get(parts.hostname or "", "")
        elif service := HOSTS.get(host.partition(":")[0], ""):
            pass
        else:
            _, first, *rest = f"{path}/".split("/", 2)
            service = first if first in PUBLIC else ""
            path = f"/{rest[0].removesuffix('/')}" if service else path
        return cls(raw.method, path, query, raw.headers, raw.body, raw.port, scheme, service, host)

    @property
    def params(self) -> dict[str, list[str]]:
        return parse_qs(self.query, keep_blank_values=True)

    def param(self, name: str, default: str = "") -> str:
        return self.params.get(name, [default])[0]

    def listed(self, name: str) -> list[str]:
        """A parameter that is repeated or comma-separated."""
        return [part for value in self.params.get(name, []) for part in value.split(",") if part]

    @property
    def payload(self) -> Any:
        """The JSON of the body; None where it has none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def address(self, service: str, path: str) -> str:
        """An address of this service on the host that was asked."""
        if self.host.partition(":")[0] in HOSTS:
            return f"https://{PUBLIC[service]}{path}"
        return f"{self.scheme}://{self.host}/{service}{path}"


def detail(status: int, text: Any, error_type: str = "") -> Answer:
    """An error of the queue: of the model without a type, of the platform with one."""
    if not error_type:
        return says(status, {"detail": text})
    return says(status, {"detail": text, "error_type": error_type}, X_Fal_Error_Type=error_type)


def platform_error(status: int, kind: str, message: str, **headers: str) -> Answer:
    """An error of api.fal.ai."""
    error = {"type": kind, "message": message, "docs_url": "https://docs.fal.ai", "request_id": "a-request"}
    return says(status, {"error": error}, **headers)
