"""Tokens for tests, and the calls as a script makes them, in this process."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from finetune_portal.accounts.models import User
from finetune_portal.gateway.models import PersonalToken
from finetune_portal.gateway.services import new_token

ALL = ("train", "publish", "download")
SUBMIT = "/finetune/request/submit"
DETAILS = "/finetune/request/details"
LIST = "/finetune/request/list"
PRESIGNED = "/finetune/request/upload/pre-signed-url"
ACCESS = "/finetune/request/access-update"
DOWNLOAD = "/finetune/request/file/download"
CREDITS = "/v1/get-user-credits"
TRAINERS = "/api/v1/trainers"


def token_of(user: User, *rights: str, days: int | None = 90, name: str = "nightly") -> str:
    return new_token(owner=user, name=name, rights=rights, days=days)[1]


def row_of(text: str) -> PersonalToken:
    return PersonalToken.objects.get(last_four=text[-4:])


def call(
    token: str, method: str, path: str, payload: Any = None, *, form: bool = False, **headers: str
) -> Any:
    """With a JSON body, or a multipart form; no session and no cookie."""
    data, kind = b"", ""
    if payload is not None:
        data, kind = json.dumps(payload).encode(), "application/json"
    if form:
        data, kind = encode_multipart(BOUNDARY, payload), MULTIPART_CONTENT
    answer = Client().generic(method, path, data, kind, headers={"x-api-key": token, **headers})
    assert not answer.cookies
    return answer


def error_of(answer: HttpResponse) -> str:
    body = json.loads(answer.content)
    assert body.keys() == {"error"}
    return str(body["error"])


def submit_body(data_source_path: str, **changes: Any) -> dict[str, Any]:
    """As in docs/provider-api.md, 1; a change to None leaves the field out."""
    fields = {
        "name": "red hair",
        "data_source_path": data_source_path,
        "instance_prompt": "Change the hair to red",
        "base_model": "FLUX",
        "train_type": "LORA",
        "machine_type": "NVIDIA_H100",
        "theme": "KONTEXT",
        "segmind_public": False,
        "advance_parameters": {"learning_rate": 0.0004, "steps": 300},
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}
