"""Where an answer names an address for a file: the guard of typed addresses judges it before a connection."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.client import PRIVATE_ADDRESS, client_for
from finetune_portal.providers.errors import InvalidResponseError, UnreachableError
from finetune_portal.providers.segmind import RunRequest, SegmindClient
from tests.people import make_dataset
from tests.provider import ScriptedProvider, says
from tests.worker.driving import point_at, transfer_now

WAYS: dict[str, Callable[[SegmindClient, str], Any]] = {
    "put": lambda client, url: client.upload(url, io.BytesIO(b"zip"), 3),
    "get": lambda client, url: list(client.fetch(url)),
    "slice": lambda client, url: client.fetch_slice(url, 0, 9),
    "check": lambda client, url: client.check_file(url),
}
INNER = [
    "127.0.0.1",
    "localhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
]


@pytest.fixture
def far(settings: Any, db: None) -> Iterator[SegmindClient]:
    """The client of a provider on another machine, as the worker has it."""
    settings.SEGMIND_BASE_URL, settings.SEGMIND_API_KEY = "https://provider.invalid", "a-key"
    with client_for(connections.built_in()) as client:
        yield client


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """It counts who comes: nobody does while `accept` finds nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("host", INNER)
def test_nothing_inside_is_called(
    host: str, way: Callable[[SegmindClient, str], Any], far: SegmindClient, listener: socket.socket
) -> None:
    with pytest.raises(InvalidResponseError, match="inside a private network"):
        way(far, f"https://{host}:{listener.getsockname()[1]}/x?Signature=a")
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_the_operator_may_allow_a_network(far: SegmindClient, settings: Any) -> None:
    settings.OUTBOUND_NETWORKS = [ip_network("127.0.0.0/8")]
    with pytest.raises(UnreachableError):  # it is tried: nobody listens there
        far.check_file("https://127.0.0.1:1/x")


def test_a_name_that_is_not_found_is_tried_again(far: SegmindClient) -> None:
    with pytest.raises(UnreachableError, match="cannot be reached") as caught:
        far.check_file("https://storage.invalid/x")
    assert caught.value.retryable


@pytest.mark.parametrize(
    "url",
    [
        "https://user:pw@storage.example/x",
        "https://user@storage.example/x",
        "http://10.0.0.1\\@127.0.0.1/x",
        "https://storage.example\\@127.0.0.1/x",
    ],
)
def test_an_address_that_two_readers_read_differently_is_not_used(url: str) -> None:
    near = SegmindClient("http://127.0.0.1:9", "a-key")
    with pytest.raises(InvalidResponseError, match="with a name in it"):
        near.check_file(url)


def test_the_providers_own_storage_is_no_question(provider: ScriptedProvider) -> None:
    """A local engine, or a provider that the operator put inside: also at another port of this machine."""

    def dial(host: str, port: int) -> socket.socket:
        raise AssertionError(f"asked for {host}:{port}")

    client = SegmindClient(provider.url, provider.key, dial=dial)
    with ScriptedProvider() as storage:
        for url in (provider.url, storage.url, storage.url.replace("127.0.0.1", "localhost")):
            assert client.upload(f"{url}/storage/x?Signature=a", io.BytesIO(b"zip"), 3).etag


def test_a_dataset_goes_to_no_private_address(alice: User, provider: ScriptedProvider, settings: Any) -> None:
    point_at(settings, provider)
    inner = {"presigned_url": "https://10.1.2.3/x?Signature=a", "s3_url": "https://storage.example/x"}
    provider.script("presigned_url", says(200, inner))
    dataset = make_dataset(alice, stored=False)
    transfer_now(dataset)
    error = dataset.transfers.get().error
    assert error == f"{PRIVATE_ADDRESS} The portal tries again by itself."


def test_a_picture_comes_from_no_private_address(provider: ScriptedProvider, settings: Any, db: None) -> None:
    point_at(settings, provider)
    provider.script("run", says(200, {"image": "https://169.254.169.254/latest/meta-data/"}))
    request = RunRequest("night", "https://a.example/b.png", 1.0, 7, 28, 2.5)
    with client_for(connections.built_in()) as client, pytest.raises(InvalidResponseError, match="cannot"):
        client.inference.run("night", request)
