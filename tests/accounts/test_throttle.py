"""Wrong passwords lock the sign-in for a while, for that e-mail from that address, not for colleagues."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.core.management import call_command
from django.db.models import F
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from tests.people import PASSWORD, signed_in

OFFICE, HOME = "198.51.100.7", "203.0.113.9"


def try_to_sign_in(email: str, password: str = "wrong", *, address: str = OFFICE, **headers: str) -> Any:
    client = Client(REMOTE_ADDR=address)
    return client.post("/login/", {"username": email, "password": password}, headers=headers)


def lock_out(email: str, **where: str) -> Any:
    answers = [try_to_sign_in(email, **where) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [422, 422, 422, 422, 429]
    return answers[-1]


def test_the_sixth_try_is_refused_even_with_the_right_password(alice: User) -> None:
    answer = lock_out(alice.email)
    html = answer.content.decode()
    assert "You can try again" in html
    assert 'value="alice@example.com"' in html
    assert 890 < int(answer.headers["Retry-After"]) <= 900
    assert try_to_sign_in(alice.email, PASSWORD).status_code == 429
    actions = list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))
    assert actions == ["session.refused"] * 4 + ["account.locked", "session.refused"]
    assert PASSWORD not in str(list(AccessAttempt.objects.values()))


def test_an_unknown_name_is_not_stored(db: None) -> None:
    try_to_sign_in("correct horse battery staple")
    event = AuditEvent.objects.get()
    assert event.action == "session.refused"
    assert "horse" not in f"{event.thing} {event.detail}"


def test_colleagues_and_the_same_person_elsewhere_are_not_locked_out(alice: User, bob: User) -> None:
    lock_out(alice.email)
    assert try_to_sign_in(bob.email, PASSWORD).status_code == 302
    assert try_to_sign_in(alice.email, PASSWORD, address=HOME).status_code == 302


def test_another_spelling_is_the_same_account(alice: User) -> None:
    for spelling in ("ALICE@example.com", " alice@example.com", "Alice@Example.com"):
        try_to_sign_in(spelling)
    try_to_sign_in(alice.email)
    assert try_to_sign_in(alice.email.upper()).status_code == 429


def test_many_names_from_one_address_are_limited(alice: User) -> None:
    for number in range(49):
        assert try_to_sign_in(f"guess{number}@example.com").status_code == 422
    assert try_to_sign_in("guess49@example.com").status_code == 429
    assert try_to_sign_in(alice.email, PASSWORD).status_code == 429
    assert try_to_sign_in(alice.email, PASSWORD, address=HOME).status_code == 302


def test_a_correct_password_resets_only_its_own_failures(alice: User, bob: User) -> None:
    for _ in range(4):
        try_to_sign_in(alice.email)
    try_to_sign_in(bob.email, PASSWORD)
    assert try_to_sign_in(alice.email).status_code == 429
    for _ in range(4):
        try_to_sign_in(alice.email, address=HOME)
    try_to_sign_in(alice.email, PASSWORD, address=HOME)
    assert try_to_sign_in(alice.email, address=HOME).status_code == 422


def test_the_lock_ends_after_a_quarter_of_an_hour(alice: User) -> None:
    lock_out(alice.email)
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=15, seconds=1))
    assert try_to_sign_in(alice.email, PASSWORD).status_code == 302


def test_more_tries_do_not_prolong_the_lock(alice: User) -> None:
    lock_out(alice.email)
    before = AccessAttempt.objects.get().attempt_time
    try_to_sign_in(alice.email)
    assert AccessAttempt.objects.get().attempt_time == before


def test_an_admin_unlocks_on_the_team_page(alice: User, dana: User) -> None:
    lock_out(alice.email)
    admin = signed_in(dana)
    assert "Locked" in admin.get("/team/").content.decode()
    admin.post(f"/team/{alice.pk}/unlock/")
    assert try_to_sign_in(alice.email, PASSWORD).status_code == 302
    assert AuditEvent.objects.filter(action="account.unlocked", actor=dana).exists()


def test_an_operator_unlocks_by_a_command(alice: User) -> None:
    lock_out(alice.email)
    call_command("axes_reset_username", alice.email)
    assert try_to_sign_in(alice.email, PASSWORD).status_code == 302


def test_a_forged_address_does_not_avoid_the_lock(alice: User) -> None:
    """Only a listed proxy may say where a request came from."""
    for number in range(4):
        try_to_sign_in(alice.email, **{"X-Forwarded-For": f"192.0.2.{number}"})
    assert try_to_sign_in(alice.email, **{"X-Forwarded-For": "192.0.2.200"}).status_code == 429


@pytest.mark.parametrize("proxies", [[ip_network("10.0.0.0/8"), ip_network("127.0.0.1")], "*"])
def test_behind_a_listed_proxy_each_browser_counts_for_itself(
    proxies: Any, alice: User, settings: Any
) -> None:
    settings.PROXIES = proxies
    for number in range(5):
        try_to_sign_in(alice.email, address="10.1.2.3", **{"X-Forwarded-For": f"192.0.2.{number}, {OFFICE}"})
    assert set(AccessAttempt.objects.values_list("ip_address", flat=True)) == {OFFICE}
    home = try_to_sign_in(
        alice.email, PASSWORD, address="10.1.2.3", **{"X-Forwarded-For": f"{OFFICE}, {HOME}"}
    )
    assert home.status_code == 302
