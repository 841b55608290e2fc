"""The answers about a run: the bare picture, or what is known of it, in the vendor's words.

A run that ended without a picture is answered with 422, as the vendor does: clients that repeat a call by
themselves do so after 5xx, and the run may have been paid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urljoin

from django.core import signing
from django.http import HttpResponse, JsonResponse
from django.urls import reverse

from finetune_portal.accounts.models import User
from finetune_portal.gateway.api_call import ApiError
from finetune_portal.playground.models import Generation

Json = dict[str, Any]
State = Generation.State
STATUSES = {
    State.QUEUED: "QUEUED",
    State.RUNNING: "PROCESSING",
    State.DONE: "COMPLETED",
    State.FAILED: "FAILED",
    State.UNCONFIRMED: "FAILED",
}
SALT = "finetune_portal.gateway.output"
MAX_AGE = 3600  # seconds that the URL of a picture is valid
NOT_STORED = "The portal no longer has the picture of this run."


@dataclass(frozen=True)
class Urls:
    """Where to ask for a run. They are made while its call is answered, which knows the portal's address."""

    run: str
    user: int  # as whom they are asked for

    @classmethod
    def of(cls, generation: Generation, base_url: str, user: User) -> Urls:
        return cls(urljoin(base_url, reverse("gateway:run-result", args=[generation.key])), user.pk)

    @property
    def status(self) -> str:
        return f"{self.run}/status"

    def output(self, generation: Generation) -> str:
        """The picture, for whoever has this URL, for an hour, while this person may see it."""
        signature = signing.dumps([str(generation.key), self.user], salt=SALT)
        return f"{self.run}/output.{generation.kind}?{urlencode({'signature': signature})}"


def user_of(key: str, signature: str) -> User | None:
    """As whom the URL of this run's picture shows it; None if it is not ours, or older than an hour."""
    try:
        signed_key, user = signing.loads(signature, salt=SALT, max_age=MAX_AGE)
    except (signing.BadSignature, ValueError):
        return None
    return User.objects.filter(pk=user, is_active=True).first() if signed_key == key else None


def submitted(generation: Generation, urls: Urls) -> Json:
    """The vendor's answer to a run that is not finished, with the three names that it has for addresses."""
    return {
        "request_id": str(generation.key),
        "status": STATUSES[State(generation.state)],
        "poll_url": urls.run,
        "status_url": urls.status,
        "response_url": urls.run,
    }


def status(generation: Generation, urls: Urls) -> JsonResponse:
    """The status alone, with the reason of a failure."""
    return JsonResponse(_status(generation, urls), status=_http_status(generation))


def result(generation: Generation, urls: Urls) -> JsonResponse:
    """All that is known of a run, with the URL of its picture."""
    known: Json = {"seed": generation.seed, "slug": generation.job.run_slug, "metrics": _metrics(generation)}
    if generation.is_done:
        known["output"] = urls.output(generation) if generation.path.exists() else None
    return JsonResponse({**_status(generation, urls), **known}, status=_http_status(generation))


def picture(generation: Generation, urls: Urls) -> HttpResponse:
    """The bare picture of a run that made one; 202 while it is made, 422 where there is none."""
    if generation.is_active:
        return JsonResponse(submitted(generation, urls), status=202, headers={"Location": urls.run})
    if not generation.is_done:
        return status(generation, urls)
    headers = {"Content-Location": urls.run, "x-seed-value": str(generation.seed)}
    if generation.took is not None:
        headers["x-generation-time"] = f"{generation.took.total_seconds():.3f}"
    if generation.cost is not None:
        headers["x-cost"] = f"{generation.cost:.10g}"
    return HttpResponse(content(generation), content_type=f"image/{generation.kind}", headers=headers)


def content(generation: Generation) -> bytes:
    """The file of the picture. Raises ApiError."""
    try:
        return generation.path.read_bytes()
    except OSError:
        raise ApiError(404, NOT_STORED) from None


def _status(generation: Generation, urls: Urls) -> Json:
    fields = submitted(generation, urls)
    if generation.state in (State.FAILED, State.UNCONFIRMED):
        fields |= {"error": generation.error, "answer_lost": generation.state == State.UNCONFIRMED}
    return fields


def _http_status(generation: Generation) -> int:
    return 422 if generation.state in (State.FAILED, State.UNCONFIRMED) else 200


def _metrics(generation: Generation) -> Json:
    """Null is what is not known. The cost is what the provider named."""
    took = generation.took
    return {
        "inference_time": took.total_seconds() if took else None,
        "cost": generation.cost,
        "currency": generation.currency if generation.cost is not None else None,
    }
