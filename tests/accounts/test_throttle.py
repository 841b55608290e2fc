"""R4: wrong passwords close the door for a while, for that e-mail from that address, not for colleagues."""

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


def knock(email: str, password: str = "wrong", *, address: str = OFFICE, **headers: str) -> Any:
    client = Client(REMOTE_ADDR=address)
    return client.post("/login/", {"username": email, "password": password}, headers=headers)


def lock(email: str, **where: str) -> Any:
    answers = [knock(email, **where) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [422, 422, 422, 422, 429]
    return answers[-1]


def test_the_sixth_try_is_refused_even_with_the_right_password(alice: User) -> None:
    answer = lock(alice.email)
    html = answer.content.decode()
    assert "You can try again" in html
    assert 'value="alice@example.com"' in html
    assert 890 < int(answer.headers["Retry-After"]) <= 900
    assert knock(alice.email, PASSWORD).status_code == 429
    actions = list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))
    assert actions == ["session.refused"] * 4 + ["account.locked", "session.refused"]
    assert PASSWORD not in str(list(AccessAttempt.objects.values()))


def test_an_unknown_name_is_recorded_without_it(db: None) -> None:
    knock("correct horse battery staple")
    event = AuditEvent.objects.get()
    assert event.action == "session.refused"
    assert "horse" not in f"{event.thing} {event.detail}"


def test_colleagues_and_the_same_person_elsewhere_are_not_locked_out(alice: User, bob: User) -> None:
    lock(alice.email)
    assert knock(bob.email, PASSWORD).status_code == 302
    assert knock(alice.email, PASSWORD, address=HOME).status_code == 302


def test_another_spelling_is_the_same_account(alice: User) -> None:
    for spelling in ("ALICE@example.com", " alice@example.com", "Alice@Example.com"):
        knock(spelling)
    knock(alice.email)
    assert knock(alice.email.upper()).status_code == 429


def test_many_names_from_one_address_come_to_an_end(alice: User) -> None:
    for number in range(49):
        assert knock(f"guess{number}@example.com").status_code == 422
    assert knock("guess49@example.com").status_code == 429
    assert knock(alice.email, PASSWORD).status_code == 429
    assert knock(alice.email, PASSWORD, address=HOME).status_code == 302


def test_a_right_password_forgives_only_its_own_mistakes(alice: User, bob: User) -> None:
    for _ in range(4):
        knock(alice.email)
    knock(bob.email, PASSWORD)
    assert knock(alice.email).status_code == 429
    for _ in range(4):
        knock(alice.email, address=HOME)
    knock(alice.email, PASSWORD, address=HOME)
    assert knock(alice.email, address=HOME).status_code == 422


def test_after_a_quarter_of_an_hour_it_opens_again(alice: User) -> None:
    lock(alice.email)
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=15, seconds=1))
    assert knock(alice.email, PASSWORD).status_code == 302


def test_knocking_on_does_not_make_it_longer(alice: User) -> None:
    lock(alice.email)
    before = AccessAttempt.objects.get().attempt_time
    knock(alice.email)
    assert AccessAttempt.objects.get().attempt_time == before


def test_an_admin_unlocks_on_the_team_page(alice: User, dana: User) -> None:
    lock(alice.email)
    admin = signed_in(dana)
    assert "Locked" in admin.get("/team/").content.decode()
    admin.post(f"/team/{alice.pk}/unlock/")
    assert knock(alice.email, PASSWORD).status_code == 302
    assert AuditEvent.objects.filter(action="account.unlocked", actor=dana).exists()


def test_an_operator_unlocks_by_a_command(alice: User) -> None:
    lock(alice.email)
    call_command("axes_reset_username", alice.email)
    assert knock(alice.email, PASSWORD).status_code == 302


def test_an_invented_address_does_not_get_round_it(alice: User) -> None:
    """H7: nobody but a listed proxy tells where a request came from."""
    for number in range(4):
        knock(alice.email, **{"X-Forwarded-For": f"192.0.2.{number}"})
    assert knock(alice.email, **{"X-Forwarded-For": "192.0.2.200"}).status_code == 429


@pytest.mark.parametrize("proxies", [[ip_network("10.0.0.0/8"), ip_network("127.0.0.1")], "*"])
def test_behind_a_listed_proxy_each_browser_counts_for_itself(
    proxies: Any, alice: User, settings: Any
) -> None:
    settings.PROXIES = proxies
    for number in range(5):
        knock(alice.email, address="10.1.2.3", **{"X-Forwarded-For": f"192.0.2.{number}, {OFFICE}"})
    assert set(AccessAttempt.objects.values_list("ip_address", flat=True)) == {OFFICE}
    home = knock(alice.email, PASSWORD, address="10.1.2.3", **{"X-Forwarded-For": f"{OFFICE}, {HOME}"})
    assert home.status_code == 302
