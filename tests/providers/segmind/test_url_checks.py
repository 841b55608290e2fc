"""Where files go: by https anywhere, in clear only where the provider itself is (P13)."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from finetune_portal.providers.errors import InvalidResponseError, UnreachableError
from finetune_portal.providers.segmind import SegmindClient
from tests.provider import KEY, ScriptedProvider, says

FAR = SegmindClient("https://provider.invalid", KEY)
WAYS: dict[str, Callable[[SegmindClient, str], Any]] = {
    "put": lambda client, url: client.upload(url, io.BytesIO(b"zip"), 3),
    "get": lambda client, url: list(client.fetch(url)),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://192.0.2.1/x?Signature=a",
        "http://127.0.0.1.example/x?Signature=a",
        "http://localhost@192.0.2.1/x?Signature=a",
        "ftp://127.0.0.1/x?Signature=a",
    ],
)
def test_in_clear_only_at_the_provider_itself(
    client: SegmindClient, way: Callable[[SegmindClient, str], Any], address: str
) -> None:
    with pytest.raises(InvalidResponseError, match="an address without https"):
        way(client, address)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_far_provider_leads_nobody_to_this_machine(
    provider: ScriptedProvider, way: Callable[[SegmindClient, str], Any]
) -> None:
    with pytest.raises(InvalidResponseError, match="an address without https"):
        way(FAR, f"{provider.url}/storage/x?Signature=a")
    assert provider.requests == []


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_https_may_lead_anywhere(client: SegmindClient, way: Callable[[SegmindClient, str], Any]) -> None:
    """It is tried: nobody listens there."""
    for each in (client, FAR):
        with pytest.raises(UnreachableError):
            way(each, "https://127.0.0.1:1/x?Signature=a")


def test_another_port_of_this_machine_is_as_near(client: SegmindClient, provider: ScriptedProvider) -> None:
    with ScriptedProvider() as storage:
        way = f"{storage.url}/storage/x?Signature=a".replace("127.0.0.1", "localhost")
        assert client.upload(way, io.BytesIO(b"zip"), 3).etag
    assert storage.stored == {"/storage/x": b"zip"}


def test_no_browser_is_led_to_such_a_link(client: SegmindClient, provider: ScriptedProvider) -> None:
    provider.script("download_url", says(200, b"http://192.0.2.1/w.safetensors?Signature=a"))
    with pytest.raises(InvalidResponseError, match="an address without https"):
        client.download_url("https://h/w.safetensors")
