"""fal's Python client, driven line by line: a call as JSON on stdin, what came of it as JSON on stdout.

It gets nothing but its key: a proxy of the environment and a certificate lead it to the fake.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import fal_client

CLIENT = fal_client.SyncClient()


def submit(endpoint: str, input: dict[str, Any], webhook: str | None = None) -> str:
    return CLIENT.submit(endpoint, input, webhook_url=webhook).request_id


def state(status: fal_client.Status) -> str:
    names = {
        fal_client.Queued: "IN_QUEUE",
        fal_client.InProgress: "IN_PROGRESS",
        fal_client.Completed: "COMPLETED",
    }
    return names[type(status)]


def status(endpoint: str, id: str) -> dict[str, Any]:
    status = CLIENT.status(endpoint, id, with_logs=True)
    return {
        "status": state(status),
        "position": getattr(status, "position", None),
        "logs": [line["message"] for line in getattr(status, "logs", ())],
        "error": getattr(status, "error", None),
    }


def result(endpoint: str, id: str) -> Any:
    return CLIENT.result(endpoint, id)


def subscribe(endpoint: str, input: dict[str, Any]) -> dict[str, Any]:
    states: list[str] = []

    def on_update(status: fal_client.Status) -> None:
        states.append(state(status))

    data = CLIENT.subscribe(endpoint, input, with_logs=True, interval=0.01, on_queue_update=on_update)
    return {"states": states, "data": data}


def cancel(endpoint: str, id: str) -> None:
    CLIENT.cancel(endpoint, id)


def stream(endpoint: str, id: str) -> list[str]:
    return [
        state(status) for status in CLIENT.get_handle(endpoint, id).iter_events(with_logs=True, interval=0.01)
    ]


def upload(content: str, times: int = 1, repository: str | None = None) -> str:
    data = base64.b64decode(content) * times
    return CLIENT.upload(data, "application/zip", "pairs.zip", repository=repository)


def main() -> None:
    for line in sys.stdin:
        fields = json.loads(line)
        call = globals()[fields.pop("call")]
        try:
            answer = {"value": call(**fields)}
        except fal_client.FalClientHTTPError as exc:
            answer = {"status": exc.status_code, "detail": exc.message, "name": exc.error_type}
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
