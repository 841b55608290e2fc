"""Addresses that somebody typed (F1): none but public or listed ones is ever connected to."""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from finetune_portal.engine import dataset_source, fetch
from tests.conftest import StartEngine
from tests.engine.calling import pairs, reached, started, zipped
from tests.engine.sink import Answer, Seen, listening

LOCAL = [ip_network("127.0.0.0/8")]
ZIP = zipped(pairs())

_connected: list[Any] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        _connected.append(arguments[1])


sys.addaudithook(_note)


@pytest.fixture
def connections() -> list[Any]:
    """Every address that this process has connected to during the test."""
    _connected.clear()
    return _connected


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "0.0.0.0",
        "0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:10.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::8.8.8.8]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2001::1]",
        "[2001:db8::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fe80::1%25lo]",
        "[fec0::1]",
        "[ff02::1]",
        "[ff0e::1]",
    ],
)
def test_an_address_inside_is_not_connected_to(host: str, connections: list[Any]) -> None:
    for scheme in ("http", "https"):
        with (
            pytest.raises(fetch.FetchError) as failed,
            fetch.call("GET", f"{scheme}://{host}/secret", allow=[], timeout=1),
        ):
            pass
        assert "secret" not in str(failed.value)
    assert not connections


@pytest.mark.parametrize(
    "url",
    [
        "http://user@127.0.0.1/",
        "http://example.com@127.0.0.1/",
        "http://:80/",
        "http:///x",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://[::1/",
        "//127.0.0.1/",
        "",
        "http://" + "a" * 300 + "/",
        "http://a..b/",
    ],
)
def test_a_url_of_another_kind_is_refused(url: str, connections: list[Any]) -> None:
    with pytest.raises(fetch.FetchError), fetch.call("GET", url, allow=LOCAL, timeout=1):
        pass
    assert not connections


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert fetch.is_allowed(address, [])


def test_a_listed_network_is_allowed() -> None:
    assert fetch.is_allowed("127.0.0.1", LOCAL)
    assert fetch.is_allowed("::ffff:127.0.0.1", LOCAL)
    assert not fetch.is_allowed("10.0.0.1", LOCAL)


@pytest.mark.parametrize("target", ["http://10.0.0.1/", "//[::1]/x", "file:///etc/passwd", "http://a@b/", ""])
def test_a_redirect_is_vetted_as_the_first_address(target: str, connections: list[Any]) -> None:
    def answer(seen: Seen) -> Answer:
        return Answer(302, headers={"Location": target})

    with listening(answer) as sink:
        with (
            pytest.raises(fetch.FetchError),
            fetch.follow("GET", f"{sink.url}/", allow=LOCAL, timeout=5) as response,
        ):
            raise AssertionError(response.status)
        assert set(connections) == {("127.0.0.1", sink.port)}


def test_a_certificate_that_is_not_valid() -> None:
    with (
        listening() as sink,  # plain HTTP on that port
        pytest.raises(fetch.FetchError),
        fetch.call("GET", f"https://127.0.0.1:{sink.port}/", allow=LOCAL, timeout=5),
    ):
        pass


def copy(url: str, tmp_path: Path) -> Path:
    return dataset_source.local_copy(
        url, storage=tmp_path, into=tmp_path / "copy.zip", allow=LOCAL, check_in=lambda: None
    )


def test_a_public_zip_is_fetched_over_three_redirects(tmp_path: Path) -> None:
    def answer(seen: Seen) -> Answer:
        hop = int(seen.path[1:])
        return Answer(302, headers={"Location": f"/{hop + 1}"}) if hop < 3 else Answer(body=ZIP)

    with listening(answer) as sink:
        assert copy(f"{sink.url}/0", tmp_path).read_bytes() == ZIP
        assert [seen.method for seen in sink.seen] == ["HEAD"] * 4 + ["GET"] * 4


@pytest.mark.parametrize(
    ("head", "get", "says"),
    [
        (Answer(404), Answer(body=ZIP), "HEAD was answered with 404"),
        (Answer(body=ZIP, length=-1), Answer(body=ZIP), "no Content-Length"),
        (Answer(length=6 * 1024**3), Answer(body=ZIP), "larger than 5 GiB"),
        (Answer(body=ZIP), Answer(500), "GET was answered with 500"),
        (Answer(body=ZIP), Answer(body=ZIP, length=-1), "no Content-Length"),
        (Answer(body=ZIP), Answer(body=ZIP, length=len(ZIP) + 9), "ended early|broke off"),
        (Answer(302, headers={"Location": "/again"}), Answer(), "too many redirects"),
        (Answer(length=7, headers={"Content-Length": "x"}), Answer(body=ZIP), "no Content-Length|broke off"),
    ],
)
def test_a_poor_answer_is_said_in_words(tmp_path: Path, head: Answer, get: Answer, says: str) -> None:
    with (
        listening(lambda seen: head if seen.method == "HEAD" else get) as sink,
        pytest.raises(dataset_source.SourceError, match=says) as failed,
    ):
        copy(f"{sink.url}/token-in-the-url", tmp_path)
    assert "token" not in str(failed.value)
    assert not (tmp_path / "copy.zip").exists()


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        with pytest.raises(dataset_source.SourceError, match="does not answer"):
            copy(f"http://127.0.0.1:{taken.getsockname()[1]}/", tmp_path)


def test_a_job_takes_a_public_zip_when_its_network_is_listed(engines: StartEngine) -> None:
    with listening(lambda seen: Answer(body=ZIP)) as sink:
        listed = engines(ENGINE_FETCH_ALLOW="127.0.0.0/8")
        reached(listed, started(listed, data_source_path=f"{sink.url}/hats.zip"), "AVAILABLE")
        assert [seen.method for seen in sink.seen] == ["HEAD", "GET"]
        sink.seen.clear()

        closed = engines()
        job = reached(closed, started(closed, data_source_path=f"{sink.url}/hats.zip"), "FAILED")
        assert "not a public one" in job["error_message"]
        assert sink.seen == []
