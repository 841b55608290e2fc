"""The calls of Replicate's API: their paths, whether they ask for the key, and who answers them."""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlencode

from tests.provider.exchange import Answer, Request, says
from tests.provider.results import serve
from tests.replicate import answers
from tests.replicate.answers import not_found, problem
from tests.replicate.ledger import Job, Upload
from tests.replicate.models import MODELS, input_errors, model_of, version_of

if TYPE_CHECKING:
    from tests.replicate.server import FakeReplicate


class Asked(NamedTuple):
    """A request, and the parts of its path that the call names."""

    request: Request
    parts: dict[str, str]

    def address(self, path: str) -> str:
        """An address at the host that was asked."""
        return f"http://{self.request.headers['host']}{path}"

    def param(self, name: str) -> str:
        return parse_qs(self.request.query).get(name, [""])[0]

    @property
    def body(self) -> Any:
        try:
            return json.loads(self.request.body)
        except ValueError:
            return None


def account(fake: FakeReplicate, asked: Asked) -> Answer:
    name = {"username": fake.username, "name": "A team"}
    return says(200, {"type": "organization", **name, "github_url": None})


def model(fake: FakeReplicate, asked: Asked) -> Answer:
    owner, name = asked.parts["owner"], asked.parts["name"]
    full = f"{owner}/{name}"
    if full in fake.destinations:
        return says(200, fake.destinations[full])
    if full not in MODELS or full in fake.closed:
        return not_found()
    version = "" if full in fake.without_version else version_of(full)
    return says(200, answers.model_object(owner, name, version, asked.address))


def create_model(fake: FakeReplicate, asked: Asked) -> Answer:
    body = asked.body if isinstance(asked.body, dict) else {}
    if missing := {"owner", "name", "visibility", "hardware"} - body.keys():
        return problem(422, "Input validation failed", f"- {min(missing)}: Field is required")
    full = f"{body['owner']}/{body['name']}"
    if body["owner"] != fake.username or not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", body["name"]):
        return problem(422, "Input validation failed", "- name: may have lower-case letters, digits, . _ -")
    if full in fake.destinations:
        return problem(409, "Conflict", "A model with that name and owner already exists")
    made = answers.model_object(body["owner"], body["name"], "", asked.address)
    fake.destinations[full] = made | {"visibility": body["visibility"]}
    return says(201, fake.destinations[full])


def train(fake: FakeReplicate, asked: Asked) -> Answer:
    name = f"{asked.parts['owner']}/{asked.parts['name']}"
    if model_of(asked.parts["version"]) != name or not MODELS[name].is_training:
        return not_found()
    if (asked.body or {}).get("destination") not in fake.destinations:
        return problem(404, "Not found", "The destination does not exist.")
    return _start(fake, asked, name)


def predict(fake: FakeReplicate, asked: Asked) -> Answer:
    """Of a version that the body names, or of a model that the path names."""
    name = f"{asked.parts['owner']}/{asked.parts['name']}" if asked.parts else ""
    name = name or model_of(str((asked.body or {}).get("version")))
    if name not in MODELS or MODELS[name].is_training:
        return not_found()
    return _start(fake, asked, name)


def _start(fake: FakeReplicate, asked: Asked, name: str) -> Answer:
    if name in fake.closed:
        return not_found()
    if name in fake.broken:
        return problem(500, "Internal server error", "An unexpected error occurred.")
    body = asked.body
    if errors := input_errors(MODELS[name], body.get("input") or {}):
        detail = "".join(f"- input.{field}: {error}\n" for field, error in errors)
        fields = [{"field": f"input.{field}", "description": error} for field, error in errors]
        return problem(422, "Input validation failed", detail, invalid_fields=fields)
    job = fake.add(name, body, asked.address)
    return says(201, answers.job_object(fake, job, asked.address))


def _job(fake: FakeReplicate, asked: Asked) -> Job | None:
    """A training also by the path of a prediction, as the documentation's example names it."""
    job = fake.job(asked.parts["id"])
    return job if job and (job.is_training or asked.parts["kind"] == "predictions") else None


def status(fake: FakeReplicate, asked: Asked) -> Answer:
    job = _job(fake, asked)
    if job is None:
        return not_found()
    fake.advance(job)
    with job.lock:
        return says(200, answers.job_object(fake, job, asked.address))


def cancel(fake: FakeReplicate, asked: Asked) -> Answer:
    job = _job(fake, asked)
    if job is None:
        return not_found()
    if fake.cancel_answer >= 400:
        return problem(fake.cancel_answer, "Error", "It cannot be canceled.")
    with job.lock:
        if not job.has_ended:
            fake.cancel(job)
        return says(200, answers.job_object(fake, job, asked.address))


def history(fake: FakeReplicate, asked: Asked) -> Answer:
    """The account's jobs of one kind, newest first."""
    kind = asked.parts["kind"]
    with fake.lock:
        shown = [job for job in fake.jobs if job.hidden == 0]
        for job in fake.jobs:
            job.hidden -= job.hidden > 0
    shown = [job for job in shown if job.is_training == (kind == "trainings")]
    shown = [job for job in shown if job.has_ended or fake.history_shows_running]
    if after := asked.param("created_after"):
        shown = [job for job in shown if job.created_at >= datetime.fromisoformat(after)]
    shown.reverse()
    start = int(base64.b64decode(asked.param("cursor") or "MA=="))
    end = start + fake.page_size
    cursor = base64.b64encode(str(end).encode()).decode()
    query = urlencode({"cursor": cursor, **({"created_after": after} if after else {})})
    following = asked.address(f"/v1/{kind}?{query}") if end < len(shown) else None
    rows = [answers.job_object(fake, job, asked.address) for job in shown[start:end]]
    return says(200, {"previous": None, "next": following, "results": rows})


def upload(fake: FakeReplicate, asked: Asked) -> Answer:
    boundary = re.search(r"boundary=\"?([^\";]+)", asked.request.headers.get("content-type", ""))
    parts = asked.request.body.split(f"--{boundary[1]}\r\n".encode()) if boundary else []
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        if re.search(rb'name="content"', head):
            content = content.rpartition(b"\r\n--")[0] if part is parts[-1] else content[:-2]
            return _stored(fake, asked, head.decode(), content)
    return problem(400, "Bad request", "Missing content")


def _stored(fake: FakeReplicate, asked: Asked, head: str, content: bytes) -> Answer:
    if len(content) > fake.most_bytes:
        return problem(413, "Payload too large", f"The file is larger than {fake.most_bytes} bytes.")
    name, kind = re.search(r'filename="([^"]*)"', head), re.search(r"(?i)content-type: (\S+)", head)
    made = Upload(secrets.token_hex(12), name[1] if name else "", content, kind[1] if kind else "")
    fake.uploads[made.id] = made
    return says(201, answers.file_object(fake, made, asked.address))


def file(fake: FakeReplicate, asked: Asked) -> Answer:
    made = _upload(fake, asked)
    return says(200, answers.file_object(fake, made, asked.address)) if made else not_found()


def files(fake: FakeReplicate, asked: Asked) -> Answer:
    rows = [answers.file_object(fake, each, asked.address) for each in fake.uploads.values()]
    return says(200, {"previous": None, "next": None, "results": rows})


def delete_file(fake: FakeReplicate, asked: Asked) -> Answer:
    return says(204) if fake.uploads.pop(asked.parts["id"], None) else not_found()


def download(fake: FakeReplicate, asked: Asked) -> Answer:
    """An upload, by its signature."""
    made = _upload(fake, asked)
    names = set(parse_qs(asked.request.query)) - {"expiry", "owner", "signature"}
    expected = answers.signature_of(fake, asked.parts["id"], asked.param("expiry"))
    if made is None or (names and fake.refuses_further_names):
        return not_found()
    if asked.param("signature") != expected or int(asked.param("expiry")) < time.time():
        return problem(403, "Forbidden", "The signature is not valid.")
    return serve(made.content, made.content_type, asked_range=asked.request.headers.get("range", ""))


def _upload(fake: FakeReplicate, asked: Asked) -> Upload | None:
    made = fake.uploads.get(asked.parts["id"])
    return made if made and made.expires_at > time.time() else None


def delivery(fake: FakeReplicate, asked: Asked) -> Answer:
    """A file of a result: public to whoever has its address."""
    content = fake.delivered.get(asked.request.path)
    if content is None or fake.file_fault in ("403", "404"):
        return says(int(fake.file_fault or 404), b"Not found", Content_Type="text/plain")
    asked_range = asked.request.headers.get("range", "")
    return serve(content, "application/octet-stream", fake.file_fault, asked_range)


def secret(fake: FakeReplicate, asked: Asked) -> Answer:
    return says(200, {"key": fake.webhook_secret})


class Call(NamedTuple):
    name: str
    method: str
    path: str
    has_key: bool
    answer: Callable[[FakeReplicate, Asked], Answer]


MODEL = r"/v1/models/(?P<owner>[^/]+)/(?P<name>[^/]+)"
FILE = r"/v1/files/(?P<id>[^/]+)"
KIND = r"/v1/(?P<kind>trainings|predictions)"
CALLS = (
    Call("account", "GET", "/v1/account", True, account),
    Call("model", "GET", MODEL, True, model),
    Call("create_model", "POST", "/v1/models", True, create_model),
    Call("submit", "POST", rf"{MODEL}/versions/(?P<version>[^/]+)/trainings", True, train),
    Call("submit", "POST", "/v1/predictions", True, predict),
    Call("submit", "POST", rf"{MODEL}/predictions", True, predict),
    Call("status", "GET", rf"{KIND}/(?P<id>[^/]+)", True, status),
    Call("cancel", "POST", rf"{KIND}/(?P<id>[^/]+)/cancel", True, cancel),
    Call("history", "GET", KIND, True, history),
    Call("upload", "POST", "/v1/files", True, upload),
    Call("files", "GET", "/v1/files", True, files),
    Call("file", "GET", FILE, True, file),
    Call("delete_file", "DELETE", FILE, True, delete_file),
    Call("download", "GET", rf"{FILE}/download", False, download),
    Call("delivery", "GET", r"/delivery/\w+/[^/]+", False, delivery),
    Call("secret", "GET", "/v1/webhooks/default/secret", True, secret),
)
NAMES = frozenset(call.name for call in CALLS)


def call_of(request: Request) -> tuple[Call, Asked] | None:
    """The call that this request is; None for what Replicate does not have."""
    for call in CALLS:
        if call.method == request.method and (match := re.fullmatch(call.path, request.path)):
            return call, Asked(request, match.groupdict())
    return None
