"""The objects of Replicate's answers, and its errors."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.provider.exchange import Answer, says
from tests.replicate.ledger import SUCCEEDED, Job, Upload
from tests.replicate.models import MODELS, version_of

if TYPE_CHECKING:
    from tests.replicate.server import FakeReplicate

Address = Callable[[str], str]  # of a path, at the host that was asked
NANO = "{:%Y-%m-%dT%H:%M:%S.%f}Z"


def problem(status: int, title: str, detail: str, **more: Any) -> Answer:
    """An error by RFC 7807; what stands in `headers` goes there."""
    headers = more.pop("headers", {})
    return says(status, {"title": title, "detail": detail, "status": status, **more}, **headers)


def not_found() -> Answer:
    return problem(404, "Not found", "The requested resource could not be found.")


def job_object(fake: FakeReplicate, job: Job, address: Address) -> dict[str, Any]:
    kind = "trainings" if job.is_training else "predictions"
    url = address(f"/v1/{kind}/{job.id}")
    answer: dict[str, Any] = {
        "id": job.id,
        "model": job.model,
        "version": version_of(job.model),
        "status": job.status,
        "input": _input(fake, job, address),
        "output": job.output,
        "logs": job.logs,
        "error": job.error or None,
        "created_at": _time(job.created_at),
        "started_at": _time(job.started_at),
        "completed_at": _time(job.ended_at),
        "source": "api",
        "data_removed": job.is_removed,
        "urls": {"get": url, "cancel": f"{url}/cancel", "web": f"https://replicate.com/p/{job.id}"},
    }
    if job.ended_at:
        seconds = (job.ended_at - (job.started_at or job.ended_at)).total_seconds()
        answer["metrics"] = {"predict_time": seconds, "total_time": seconds}
    if job.status != SUCCEEDED:
        answer["output"] = None
    return answer


def _input(fake: FakeReplicate, job: Job, address: Address) -> dict[str, Any]:
    """What was sent; with the switch, uploads under the address that Replicate signs for itself."""
    shown = dict(job.input)
    name = MODELS[job.model].dataset
    if fake.rewrites_uploads and name in shown:
        upload_id = str(shown[name]).rpartition("/files/")[2].partition("/")[0].partition("?")[0]
        shown[name] = signed_address(fake, upload_id, address)
    return shown


def file_object(fake: FakeReplicate, upload: Upload, address: Address) -> dict[str, Any]:
    plain = address(f"/v1/files/{upload.id}")
    return {
        "id": upload.id,
        "name": upload.name,
        "content_type": upload.content_type,
        "size": len(upload.content),
        "etag": hashlib.md5(upload.content).hexdigest(),
        "checksums": {
            "sha256": hashlib.sha256(upload.content).hexdigest(),
            "md5": hashlib.md5(upload.content).hexdigest(),
        },
        "metadata": {},
        "created_at": _time(datetime.now(UTC)),
        "expires_at": _time(datetime.fromtimestamp(upload.expires_at, UTC)),
        "urls": {"get": signed_address(fake, upload.id, address) if fake.signs_uploads else plain},
    }


def signature_of(fake: FakeReplicate, upload_id: str, expiry: str) -> str:
    """Over owner, id and expiry; with the secret of the account's webhooks, as the fake has no other."""
    signed = f"{fake.username} {upload_id} {expiry}".encode()
    return b64encode(hmac.digest(fake.webhook_secret.encode(), signed, "sha256")).decode()


def signed_address(fake: FakeReplicate, upload_id: str, address: Address) -> str:
    expiry = str(int(time.time()) + 3600)
    signature = quote(signature_of(fake, upload_id, expiry), safe="")
    query = f"expiry={expiry}&owner={fake.username}&signature={signature}"
    return f"{address(f'/v1/files/{upload_id}/download')}?{query}"


def model_object(owner: str, name: str, version: str, address: Address) -> dict[str, Any]:
    latest = {
        "id": version,
        "created_at": "2026-01-01T00:00:00.000000Z",
        "cog_version": "0.9.0",
        "openapi_schema": {},
    }
    return {
        "url": f"https://replicate.com/{owner}/{name}",
        "owner": owner,
        "name": name,
        "description": None,
        "visibility": "public",
        "github_url": None,
        "paper_url": None,
        "license_url": None,
        "run_count": 0,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": latest if version else None,
    }


def _time(at: datetime | None) -> str | None:
    return NANO.format(at.astimezone(UTC)) if at else None
