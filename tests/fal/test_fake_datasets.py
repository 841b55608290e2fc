"""What the fake's trainers read and refuse, where files lie, and what a training costs."""

from __future__ import annotations

from decimal import Decimal

import pytest
import requests

from tests.fal.calls import KLEIN, KONTEXT, PAIR, Calls, packed
from tests.fal.server import FakeFal
from tests.provider import PICTURE

SECOND = {"a_start2.png": PICTURE}


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"a_start.png": PICTURE, "a.txt": b"red"}, "a has no end image"),
        ({"a_end.png": PICTURE, "a.txt": b"red"}, "a has no start image"),
        ({"a_start.png": PICTURE, "a_end.png": PICTURE}, "a has no caption"),
        ({f"in/{name}": content for name, content in PAIR.items()}, "not flat"),
        (PAIR | {"a.txt": b"\xef\xbb\xbfred"}, "byte order mark"),
        (PAIR | {"a_end.png": b"no picture"}, "a_end.png"),
        (PAIR | {"cover.png": PICTURE}, "neither a start, an end nor a text"),
        (PAIR | SECOND, "more than 1 input"),
        ({}, "No image pairs"),
    ],
)
def test_a_bad_dataset_fails_when_it_runs(calls: Calls, members: dict[str, bytes], reason: str) -> None:
    result = calls.ended(calls.submit(image_data_url=calls.upload(packed(members))))
    assert result.status_code == 422
    assert reason in result.json()["detail"][0]["msg"]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"steps": 1}, "greater_than_equal"),
        ({"steps": "many"}, "int_type"),
        ({"output_lora_format": "other"}, "literal_error"),
        ({"image_data_url": "http://127.0.0.1:9/pairs.zip"}, "file_download_error"),
        ({"image_data_url": "data:application/zip;base64,bm8gemlw"}, "value_error"),
    ],
)
def test_wrong_input_is_taken_and_fails_when_it_runs(
    fal: FakeFal, calls: Calls, fields: dict[str, object], kind: str
) -> None:
    result = calls.ended(calls.submit(**fields))
    assert (result.status_code, result.json()["detail"][0]["type"]) == (422, kind)
    assert fal.charged == 0


def test_a_default_caption_and_any_address_will_do(fal: FakeFal, calls: Calls) -> None:
    """Such as a data URI, or a signed address of a file that is closed to others."""
    bare = {name: content for name, content in PAIR.items() if name != "a.txt"}
    preference = '{"expiration_duration_seconds": 60, "initial_acl": {"default": "forbid"}}'
    address = calls.upload(packed(bare), **{"X-Fal-Object-Lifecycle": preference})
    assert requests.get(address, timeout=10).status_code == 403
    assert calls.ended(calls.submit(image_data_url=address, default_caption="red")).status_code == 422
    sign = f"{fal.api_url}/storage/files/sign"
    signed = [
        calls("POST", sign, params={"url": address}, json={"expiration_seconds": 600}).json()["signed_url"]
        for _ in range(2)
    ]
    assert signed[0] != signed[1]
    assert calls.ended(calls.submit(image_data_url=signed[0], default_caption="red")).status_code == 200
    assert (
        calls("POST", sign, params={"url": address}, json={"expiration_seconds": 604_801}).status_code == 400
    )
    next(iter(fal.files.stored.values())).expires_at = 1
    assert requests.get(signed[0], timeout=10).status_code == 404


def test_the_dataset_is_read_by_its_address_without_a_key(fal: FakeFal, calls: Calls) -> None:
    fal.most_bytes = 1000
    result = calls.ended(calls.submit(image_data_url=calls.upload(b"0" * 2000)))
    assert result.json()["detail"][0]["ctx"] == {"max_size": 1000}
    assert [each.headers.get("authorization") for each in fal.sent("download")] == [None]


def test_cost_is_the_price_at_the_end_times_steps_and_inputs(fal: FakeFal, calls: Calls) -> None:
    calls.ended(calls.submit(KONTEXT, steps=100))
    assert fal.jobs[0].cost == Decimal("1.25")  # the least are 500 steps
    two = calls.submit(KLEIN, steps=1000, image_data_url=calls.upload(packed(PAIR | SECOND)))
    fal.prices[KLEIN] = Decimal("0.01")
    assert calls.ended(two).headers["X-Fal-Billable-Units"] == "3440.00"
    assert fal.jobs[1].cost == Decimal("34.40")
    assert fal.charged == Decimal("35.65")


def test_what_can_be_wrong_with_a_file_of_a_result(fal: FakeFal, calls: Calls) -> None:
    def file() -> dict[str, object]:
        return dict(calls.ended(calls.submit()).json()["diffusers_lora_file"])

    whole = len(requests.get(str(file()["url"]), timeout=10).content)
    for fault in ("403", "404"):
        fal.file_fault = fault
        assert requests.get(str(file()["url"]), timeout=10).status_code == int(fault)
    fal.file_fault = "cut"
    with pytest.raises(requests.RequestException):
        requests.get(str(file()["url"]), timeout=10)
    fal.file_fault = "short"
    assert len(requests.get(str(file()["url"]), timeout=10).content) == whole // 2
    fal.file_fault = "size"
    assert file()["file_size"] == 2 * whole
    fal.file_fault, fal.files_are_bare = "", True
    bare = file()
    assert {name for name, value in bare.items() if value is not None} == {"url"}
    part = requests.get(str(bare["url"]), headers={"Range": "bytes=0-3"}, timeout=10)
    assert (part.status_code, part.headers["Content-Range"]) == (206, f"bytes 0-3/{whole}")
    fal.weights_field = "lora_file"
    assert "lora_file" in calls.ended(calls.submit()).json()


def test_a_model_runs_with_the_weights_that_were_trained(calls: Calls) -> None:
    weights = calls.ended(calls.submit()).json()["diffusers_lora_file"]["url"]
    picture = calls.upload(PICTURE)
    fields = {"image_url": picture, "prompt": "red", "loras": [{"path": weights, "scale": 1}]}
    image = calls.ended(calls.submit("fal-ai/flux-kontext-lora", **fields)).json()["images"][0]
    assert requests.get(image["url"], timeout=10).content == PICTURE
    fields["loras"] = [{"path": weights.replace("/files/b/", "/files/b/0")}]
    gone = calls.ended(calls.submit("fal-ai/flux-kontext-lora", **fields))
    assert gone.json()["detail"][0]["type"] == "file_download_error"
