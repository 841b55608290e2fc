"""Links that a provider names for a browser: none leads into the network of whoever follows it."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from finetune_portal.web.browser_links import is_safe

OWN = "https://provider.example"
INNER_HOSTS = [
    "169.254.169.254",
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "0.0.0.0",
    "169.254.169.254.",
    "169.254.169.254:443",
    "2852039166",
    "2852039166.",
    "0xa9fea9fe",
    "0XA9.254.0xA9fe",
    "0251.0376.0251.0376",
    "127.1",
    "0",
    "0x",
    "1.1.1.1.1",
    "08.8.8.8",
    "256.1.1.1",
    "[::1]",
    "[::]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[fd00::1]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[::1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "printer.local",
    "metadata.google.internal",
    "metadata.google.internal.",
    "router.home.arpa",
    "intranet",
    "nas.lan",
    "a..example",
    "",
    "169。254。169。254",
    "127．0．0．1",
    "１２７.0.0.1",
    "127%2e0%2e0%2e1",
    "%6cocalhost",
    "ｌocalhost",
    "storage.example\\@127.0.0.1",
    "storage.example\\.127.0.0.1",
    "user:pw@storage.example",
    "user@storage.example",
    "@storage.example",
    "storage.example@127.0.0.1",
    "storage example",
    "storage.example:99999999",
]


@pytest.mark.parametrize("host", INNER_HOSTS)
def test_what_leads_inside_or_hides_where_it_leads_is_refused(host: str) -> None:
    assert not is_safe(f"https://{host}/model.safetensors?X-Amz-Signature=a", own_url=OWN)


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "//storage.example/x",
        "https:storage.example",
        "https:///x",
        "ftp://a.example/x",
    ],
)
def test_what_is_no_web_address_is_refused(link: str) -> None:
    assert not is_safe(link, own_url=OWN)


@pytest.mark.parametrize(
    "host",
    [
        "storage.example",
        "bucket_1.s3.us-west-1.amazonaws.com",
        "storage.example.:443",
        "xn--bcher-kva.example",
        "8.8.8.8",
        "[2a00:1450:4001:82b::1]:443",
        "localhost.example",
        "1.0.0.127.example",
    ],
)
def test_public_hosts_pass(host: str) -> None:
    assert is_safe(f"https://{host}/a%20b/@x?X-Amz-Signature=a&b=%2F", own_url=OWN)


@pytest.mark.parametrize("own", ["http://10.0.0.1:8100", "https://provider.internal", "http://localhost:1"])
def test_the_connected_provider_itself_passes(own: str) -> None:
    assert is_safe(f"{own}/storage/x", own_url=own)
    assert not is_safe("https://10.0.0.2/x", own_url=own)
    assert not is_safe(f"{own}/x".replace("://", "://user:pw@"), own_url=own)


def test_a_network_that_the_operator_listed_passes(settings: Any) -> None:
    settings.OUTBOUND_NETWORKS = [ip_network("10.1.0.0/16")]
    assert is_safe("https://10.1.2.3/x", own_url=OWN)
    assert not is_safe("https://10.2.2.3/x", own_url=OWN)
