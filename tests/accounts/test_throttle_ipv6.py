"""One subscriber has a whole IPv6 network, so wrong passwords are counted by network, not by address."""

from __future__ import annotations

import pytest
from axes.models import AccessAttempt

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from tests.accounts.test_throttle import try_to_sign_in
from tests.people import PASSWORD

HOST = "2a00:1450:4001:82b"  # a /64, in the /48 2a00:1450:4001::


@pytest.mark.parametrize("network", [HOST, "2a00:1450:0:5", "2a00:1450:4001:0"])
def test_the_addresses_of_a_64_share_the_tries_of_an_account(network: str, alice: User) -> None:
    answers = [try_to_sign_in(alice.email, address=f"{network}::{number:x}") for number in range(1, 6)]
    assert [answer.status_code for answer in answers] == [422, 422, 422, 422, 429]
    assert try_to_sign_in(alice.email, PASSWORD, address=f"{network}:ffff::9").status_code == 429
    neighbour = "2a00:1450:4001:ffff::1"
    assert try_to_sign_in(alice.email, PASSWORD, address=neighbour).status_code == 302


@pytest.mark.parametrize("site", ["2a00:1450:4001", "2a00:1450:0", "2a00:0:0"])
def test_the_addresses_of_a_48_share_the_tries_of_an_address(site: str, alice: User) -> None:
    for number in range(4):
        try_to_sign_in(f"guess{number}@example.com", address=f"{site}:{number:x}::{number:x}")
    AccessAttempt.objects.update(failures_since_start=12)
    assert try_to_sign_in("guess48@example.com", address=f"{site}:fe::1").status_code == 422
    refused = try_to_sign_in("guess49@example.com", address=f"{site}:abcd::1")
    assert refused.status_code == 429
    assert 890 < int(refused.headers["Retry-After"]) <= 900
    assert try_to_sign_in(alice.email, PASSWORD, address=f"{site}:ffff::1").status_code == 429
    assert try_to_sign_in(alice.email, PASSWORD, address="2a00:1450:4002::1").status_code == 302


def test_an_ipv4_address_in_ipv6_counts_as_ipv4(alice: User) -> None:
    """As a socket for both protocols reports it: another spelling is not another address."""
    spellings = ("::ffff:198.51.100.7", "198.51.100.7", "::ffff:c633:6407", "0:0:0:0:0:ffff:198.51.100.7")
    for spelling in spellings:
        assert try_to_sign_in(alice.email, address=spelling).status_code == 422
    assert try_to_sign_in(alice.email, PASSWORD, address="::ffff:198.51.100.8").status_code == 302
    assert try_to_sign_in(alice.email, address="::ffff:198.51.100.7").status_code == 429


def test_a_proxy_that_is_reported_in_ipv6_is_a_listed_one(alice: User) -> None:
    try_to_sign_in(alice.email, address="::ffff:127.0.0.1", **{"X-Forwarded-For": f"{HOST}::7"})
    assert AccessAttempt.objects.get().ip_address == f"{HOST}::"


def test_the_record_has_the_whole_address(alice: User) -> None:
    try_to_sign_in(alice.email, address=f"{HOST}::7")
    assert AuditEvent.objects.get().address == f"{HOST}::7"
