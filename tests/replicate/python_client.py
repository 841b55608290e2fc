"""Replicate's Python client, driven line by line: a call as JSON on stdin, what came of it as JSON on stdout.

It gets nothing but its key and the address of the fake, from its own variables.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from typing import Any

from replicate.client import Client
from replicate.exceptions import ReplicateError
from replicate.pagination import paginate
from replicate.webhook import Webhooks, WebhookSigningSecret, WebhookValidationError

CLIENT = Client()


def account() -> str:
    return CLIENT.accounts.current().username


def create_model(name: str) -> str:
    owner = CLIENT.accounts.current().username
    return CLIENT.models.create(owner, name, visibility="private", hardware="cpu").id


def train(model: str, input: dict[str, Any], destination: str, webhook: str | None = None) -> dict[str, Any]:
    version = CLIENT.models.get(model).latest_version
    assert version
    more: dict[str, Any] = {"webhook": webhook, "webhook_events_filter": ["completed"]} if webhook else {}
    training = CLIENT.trainings.create(
        model=model, version=version.id, input=input, destination=destination, **more
    )
    return {"id": training.id, "status": training.status}


def training(id: str) -> dict[str, Any]:
    return json.loads(CLIENT.trainings.get(id).json())


def trainings() -> list[str]:
    return [each.id for page in paginate(CLIENT.trainings.list) for each in page.results]


def cancel(id: str) -> str:
    return CLIENT.trainings.cancel(id).status


def predict(model: str, input: dict[str, Any]) -> dict[str, Any]:
    """A prediction by version, followed to its end; with the progress that the client reads in the log."""
    version = CLIENT.models.get(model).latest_version
    prediction = CLIENT.predictions.create(version=version, input=input)
    prediction.wait()
    progress = prediction.progress
    read = [progress.current, progress.total] if progress else None
    return {"status": prediction.status, "output": prediction.output, "progress": read}


def predictions() -> list[str]:
    return [each.id for page in paginate(CLIENT.predictions.list) for each in page.results]


def upload(content: str, times: int = 1) -> str:
    file = io.BytesIO(base64.b64decode(content) * times)
    made = CLIENT.files.create(file, filename="pairs.zip", content_type="application/zip")
    assert CLIENT.files.get(made.id).size == made.size
    assert made.id in [each.id for each in CLIENT.files.list()]
    return made.urls["get"]


def validate(headers: dict[str, str], body: str, tolerance: int, secret: str = "") -> bool:
    key = WebhookSigningSecret(key=secret) if secret else CLIENT.webhooks.default.secret()
    try:
        Webhooks.validate(headers=headers, body=body, secret=key, tolerance=tolerance)
    except WebhookValidationError:
        return False
    return True


def main() -> None:
    for line in sys.stdin:
        fields = json.loads(line)
        call = globals()[fields.pop("call")]
        try:
            answer = {"value": call(**fields)}
        except ReplicateError as exc:
            answer = {"status": exc.status, "detail": exc.detail, "name": exc.title}
        except Exception as exc:  # noqa: BLE001 - such as a connection that broke
            answer = {"status": 0, "detail": str(exc), "name": type(exc).__name__}
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
