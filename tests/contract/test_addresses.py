"""Portal and engine call the same addresses: their tables are two, and say the same."""

from __future__ import annotations

import pytest

from finetune_portal.engine import fetch
from finetune_portal.web import outbound

# The first and last of each range that is not for the whole internet, and what stands beside it.
SPECIAL = """
    0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.255
    169.254.0.0 169.254.169.254 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.192 192.0.0.255
    192.0.2.1 192.88.99.1 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.1 203.0.113.255
    224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 64:ff9b:1::1 100::1 100:0:0:1::1 2001::1
    2001:0:7f00:1:: 2001:2::1 2001:10::1 2001:20::1 2001:1ff:: 2001:db8::1 2002:7f00:1:: 3fff::1 3fff:fff::1
    5f00::1 fc00::1 fdff::1 fe80::1 fe80::1%eth0 febf::1 fec0::1 feff::1 ff02::1 ffff::1
"""
PUBLIC = """
    1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255
    169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.167.255.255 192.169.0.0 198.17.255.255
    198.20.0.0 223.255.255.255 ::ffff:8.8.8.8 2000::1 2001:200::1 2001:4860:4860::8888 2003::1 2606:4700::1111
    2a00::1 3ffe::1 3fff:1000::1
"""


@pytest.mark.parametrize(("addresses", "may_be_called"), [(SPECIAL, False), (PUBLIC, True)])
def test_both_judge_an_address_alike(addresses: str, may_be_called: bool) -> None:
    judged = {each: (outbound.is_public(each), fetch.is_allowed(each, ())) for each in addresses.split()}
    assert {each: by for each, by in judged.items() if by != (may_be_called, may_be_called)} == {}
