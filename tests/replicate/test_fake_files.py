"""What the fake's trainers read and refuse, how uploads are addressed, and what files of results do."""

from __future__ import annotations

import os

import pytest
import requests

from tests.provider import PICTURE
from tests.provider.pairs import PAIR, packed
from tests.provider.results import WEIGHTS
from tests.replicate.calls import Calls
from tests.replicate.models import version_of
from tests.replicate.server import FakeReplicate


def test_a_bad_dataset_fails_when_it_runs(calls: Calls) -> None:
    members = {name: content for name, content in PAIR.items() if name != "a_end.png"}
    ended = calls.ended(calls.started(image_data=calls.upload(packed(members))))
    assert (ended["status"], ended["error"]) == ("failed", "a has no end image")
    bare = packed({name: content for name, content in PAIR.items() if name != "a.txt"})
    assert "no caption" in calls.ended(calls.started(image_data=calls.upload(bare)))["error"]
    job = calls.started(image_data=calls.upload(bare), default_caption="red")
    assert calls.ended(job)["status"] == "succeeded"


def test_an_upload_is_what_was_sent_and_is_read_without_the_key(
    replicate: FakeReplicate, calls: Calls
) -> None:
    content = os.urandom(100_000) + b"\r\n--x\r\n\r\n"
    address = calls.upload(content)
    (upload,) = replicate.uploads.values()
    assert (upload.content, upload.name, upload.content_type) == (content, "pairs.zip", "application/zip")
    assert requests.get(address, timeout=10).content == content
    assert requests.get(f"{address}&portal-job=1", timeout=10).content == content
    assert requests.get(address.replace("signature=", "signature=A"), timeout=10).status_code == 403
    replicate.refuses_further_names = True
    assert requests.get(f"{address}&portal-job=1", timeout=10).status_code == 404
    replicate.most_bytes = 1000
    limited = calls("POST", "/files", files={"content": ("a.zip", content, "application/zip")})
    assert limited.status_code == 413


def test_uploads_are_listed_deleted_and_expire(replicate: FakeReplicate, calls: Calls) -> None:
    first, second = calls.upload(), calls.upload()
    ids = [each["id"] for each in calls("GET", "/files").json()["results"]]
    assert calls("GET", f"/files/{ids[0]}").json()["urls"]["get"].partition("?")[0] in first
    assert calls("DELETE", f"/files/{ids[0]}").status_code == 204
    assert calls("GET", f"/files/{ids[0]}").status_code == 404
    replicate.uploads[ids[1]].expires_at = 1
    assert requests.get(second, timeout=10).status_code == 404


def test_the_plain_address_of_an_upload_is_read_by_a_trainer_alone(
    replicate: FakeReplicate, calls: Calls
) -> None:
    replicate.signs_uploads = False
    address = calls.upload()
    assert requests.get(address, timeout=10).status_code == 401
    assert calls.ended(calls.started(image_data=address))["status"] == "succeeded"


def test_what_can_be_wrong_with_a_file_of_a_result(replicate: FakeReplicate, calls: Calls) -> None:
    address = calls.ended(calls.started())["output"]
    for fault in ("403", "404"):
        replicate.file_fault = fault
        assert requests.get(address, timeout=10).status_code == int(fault)
    replicate.file_fault = "cut"
    with pytest.raises(requests.RequestException):
        requests.get(address, timeout=10)
    replicate.file_fault = "short"
    assert len(requests.get(address, timeout=10).content) == len(WEIGHTS) // 2


def test_a_model_runs_with_the_weights_that_were_trained(calls: Calls) -> None:
    weights = calls.ended(calls.started())["output"]
    fields = {"prompt": "red", "images": [calls.upload(PICTURE)], "lora_weights": weights}
    path = "/models/prunaai/p-image-edit-lora/predictions"
    run = calls("POST", path, json={"input": fields}).json()
    assert requests.get(calls.ended(run)["output"], timeout=10).content == PICTURE
    by_version = {
        "version": version_of("prunaai/p-image-edit-lora"),
        "input": fields | {"lora_weights": f"{weights}0"},
    }
    run = calls("POST", "/predictions", json=by_version).json()
    assert "Failed to download" in calls.ended(run)["error"]
