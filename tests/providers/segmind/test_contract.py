"""The client sends what docs/provider-api.md shows; the vendor's samples come back as typed values."""

from __future__ import annotations

import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from finetune_portal.providers.errors import RequestRejectedError, ServerError
from finetune_portal.providers.segmind import (
    Credits,
    PresignedUpload,
    SegmindClient,
    SubmitRequest,
    Submitted,
)
from tests.provider import KEY, Request, ScriptedProvider, says
from tests.providers.segmind.conftest import SUBMIT

CONTRACT = Path(__file__).resolve().parents[2] / "contract"


def sample(name: str) -> bytes:
    return (CONTRACT / name).read_bytes()


def page_body(call: str) -> dict[str, Any]:
    """The JSON body of a curl line of the vendor's page, as it stands."""
    line = (CONTRACT / "curl" / f"{call}.sh").read_text(encoding="utf-8")
    match = re.search(r"--data '(.*)'\s*$", line, re.DOTALL)
    assert match, line
    body: dict[str, Any] = json.loads(match[1])
    return body


def page_form(call: str) -> dict[str, str]:
    line = (CONTRACT / "curl" / f"{call}.sh").read_text(encoding="utf-8")
    return dict(re.findall(r"""--form '(\w+)="(\w+)"'""", line))


def only(provider: ScriptedProvider, call: str) -> Request:
    """The one request that came, with what holds for each: the key, the length, nothing of its own."""
    (request,) = provider.requests
    assert provider.sent(call) == [request]
    assert request.query == ""
    assert request.headers["x-api-key"] == KEY
    assert int(request.headers.get("content-length", 0)) == len(request.body)
    assert not {"authorization", "cookie", "transfer-encoding", "expect"} & request.headers.keys()
    assert request.headers["accept-encoding"] == "identity"
    return request


def assert_form(request: Request, fields: dict[str, str]) -> None:
    """Multipart fields as `curl --form` sends them: plain values, no file names, no types of their own."""
    kind, _, boundary = request.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    parts = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    assert request.body.decode() == f"{parts}--{boundary}--\r\n"


def test_submit(provider: ScriptedProvider, client: SegmindClient) -> None:
    provider.script("submit", says(200, sample("submit.json")))
    assert client.submit(SUBMIT) == Submitted("uuid", "REQUESTED", "fine-tune-job-name")
    request = only(provider, "submit")
    assert request.json == page_body("submit")
    assert request.headers["content-type"] == "application/json"


def test_submit_carries_more_parameters_where_the_page_has_its_two(
    provider: ScriptedProvider, client: SegmindClient
) -> None:
    client.submit(SubmitRequest("n", "https://h/d.zip", "p", 1e-4, 10, public=True, extra={"lora_rank": 16}))
    body = only(provider, "submit").json
    assert body["advance_parameters"] == {"learning_rate": 1e-4, "steps": 10, "lora_rank": 16}
    assert body["segmind_public"] is True


def test_submit_opens_a_connection_of_its_own(provider: ScriptedProvider, client: SegmindClient) -> None:
    """S4: a kept one may be half dead, and a repeated submit is paid twice."""
    client.list()
    client.submit(SUBMIT)
    client.list()
    ports = [request.port for request in provider.requests]
    assert ports[0] == ports[2] != ports[1]


def test_details(provider: ScriptedProvider, client: SegmindClient) -> None:
    provider.script("details", says(200, sample("details.json")))
    training = client.details("FINETUNE_ID")
    expected = json.loads(sample("details.json"))["finetune"]
    assert (training.id, training.ids, training.status) == ("uuid", frozenset({"uuid"}), "AVAILABLE")
    assert (training.name, training.slug, training.public) == ("fine-tune-job-name", "model-slug", False)
    assert training.error_message == ""
    assert training.cloud_storage_url == expected["cloud_storage_url"]
    assert training.data_source_path == expected["data_source_path"]
    assert training.instance_prompt == "sample instance prompt"
    assert training.created_at == training.updated_at == "2025-01-01T00:00:00Z"
    assert (training.base_model, training.theme, training.steps) == ("BASE_MODEL_NAME", "", None)
    assert training.raw == expected
    request = only(provider, "details")
    assert request.json == page_body("details")
    assert request.headers["content-type"] == "application/json"


def test_list(provider: ScriptedProvider, client: SegmindClient) -> None:
    provider.script("list", says(200, sample("list.json")))
    (finetune,) = client.list()
    assert (finetune.id, finetune.name, finetune.status) == ("uuid", "fine-tune-job-name", "AVAILABLE")
    assert (finetune.learning_rate, finetune.steps, finetune.theme) == (0.0001, 10, "sample-theme")
    assert (finetune.cloud_storage_url, finetune.error_message, finetune.public) == ("", "", False)
    assert finetune.model_information == {}
    assert finetune.raw == json.loads(sample("list.json"))[0]
    request = only(provider, "list")
    assert request.body == b""
    assert "content-type" not in request.headers


def test_presigned_url(provider: ScriptedProvider, client: SegmindClient) -> None:
    provider.script("presigned_url", says(200, sample("presigned_url.json")))
    payload = json.loads(sample("presigned_url.json"))
    assert client.presigned_url("NAME_OF_THE_FILE") == PresignedUpload(
        payload["presigned_url"], payload["s3_url"]
    )
    request = only(provider, "presigned_url")
    assert request.json == page_body("presigned_url")
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize("public", [True, False])
def test_set_public(provider: ScriptedProvider, client: SegmindClient, public: bool) -> None:
    provider.script("set_public", says(200, sample("access_update.txt")))
    client.set_public("FINETUNE_REQUEST_ID", public=public)
    page = page_form("access_update")
    assert page == {"request_id": "FINETUNE_REQUEST_ID", "segmind_public": "True"}
    assert_form(only(provider, "set_public"), page | {"segmind_public": str(public)})


def test_download_url(provider: ScriptedProvider, client: SegmindClient) -> None:
    provider.script("download_url", says(200, sample("download.txt")))
    assert client.download_url("CLOUD_STORAGE_URL") == sample("download.txt").decode().strip()
    assert_form(only(provider, "download_url"), page_form("download"))


def test_credits(provider: ScriptedProvider, client: SegmindClient) -> None:
    provider.script("credits", says(200, sample("credits.json")))
    assert client.credits() == Credits(12.5, 1.0)
    assert only(provider, "credits").body == b""


def test_upload_sends_the_bare_file_and_nothing_that_was_not_signed(
    provider: ScriptedProvider, client: SegmindClient
) -> None:
    """The storage gets no key and no header that is not signed (docs/provider-api.md, 14)."""
    content = b"PK" + bytes(3 * 1024 * 1024)
    url = f"{provider.url}/storage/uploads/me/1-red%20hair.zip?X-Amz-SignedHeaders=host&X-Amz-Signature=a%2Fb"
    seen: list[int] = []
    stored = client.upload(url, io.BytesIO(content), len(content), on_progress=seen.append)
    assert stored.etag == stored.md5 == hashlib.md5(content).hexdigest()
    (request,) = provider.sent("upload")
    assert f"{request.path}?{request.query}" == url.removeprefix(provider.url)
    assert request.body == content
    assert request.headers["content-length"] == str(len(content))
    own = {"x-api-key", "content-type", "transfer-encoding", "authorization", "cookie", "expect"}
    assert not own & request.headers.keys()
    assert KEY not in str(request)
    assert seen
    assert seen == sorted(seen)
    assert seen[-1] <= len(content)


def test_upload_tells_the_type_where_it_was_signed(provider: ScriptedProvider, client: SegmindClient) -> None:
    url = f"{provider.url}/storage/a.zip?X-Amz-SignedHeaders=content-type%3Bhost&X-Amz-Signature=a"
    client.upload(url, io.BytesIO(b"PK"), 2)
    assert provider.sent("upload")[0].headers["content-type"] == "application/zip"


def test_upload_sends_no_more_than_it_announced(provider: ScriptedProvider, client: SegmindClient) -> None:
    """A file that grew would run into the next request of the connection."""
    target = client.presigned_url("grown")
    client.upload(target.presigned_url, io.BytesIO(b"PK and more"), 2)
    client.upload(target.presigned_url, io.BytesIO(b""), 0)
    assert [request.body for request in provider.sent("upload")] == [b"PK", b""]


def test_what_the_page_leaves_open_is_a_definite_no(
    provider: ScriptedProvider, client: SegmindClient
) -> None:
    with pytest.raises(RequestRejectedError, match="Not found"):
        client.details("no such job")
    with pytest.raises(ServerError) as caught:
        client.upload(f"{provider.url}/storage/a.zip?unsigned", io.BytesIO(b"PK"), 2)
    assert caught.value.detail == "AccessDenied"


def test_no_cookie_is_kept(provider: ScriptedProvider, client: SegmindClient) -> None:
    provider.script("list", says(200, [], Set_Cookie="session=1; Path=/"))
    client.list()
    client.list()
    assert "cookie" not in provider.requests[1].headers


def test_the_headers_of_the_last_answer_are_there(provider: ScriptedProvider, client: SegmindClient) -> None:
    """Rate limits and remaining credits come in headers (docs/provider-api.md, 12.3)."""
    provider.script("list", says(200, [], X_Rate_Limit_Remaining="4"))
    client.list()
    assert client.last_headers["x-rate-limit-remaining"] == "4"
