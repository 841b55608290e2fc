"""An admin key that fal refuses: seen where bills are missing, seldom tried, and forgotten once it works."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import services
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.sync import follow
from tests.fal.server import FakeFal
from tests.jobs.test_at_fal import connection as connection
from tests.jobs.test_at_fal import follow_connection, followed, followed_until, start, transferred
from tests.jobs.test_at_fal import ready_to_send as ready_to_send
from tests.jobs.test_at_fal import sent as sent
from tests.people import signed_in
from tests.worker.driving import send_now, text_of

pytestmark = pytest.mark.django_db

REFUSED = "fal does not accept the admin key."
UNKNOWN = f"What was billed is unknown: {REFUSED}"
BADGE = "Admin key refused"


@pytest.fixture
def refused(sent: Job, settings: Any) -> Job:
    """A job that has ended, and no bill for it: the admin key of the environment is a wrong one."""
    settings.PROVIDER_ADMIN_KEYS = {"fal": "a-wrong:admin-key"}
    return followed_until(sent, State.READY)


def page_of(job: Job) -> str:
    return " ".join(text_of(signed_in(job.owner), f"/jobs/{job.pk}/").split())


def asked_by_admin_key(fal: FakeFal) -> int:
    return len(fal.sent("billing_events") + fal.sent("billing"))


def try_again() -> None:
    """As ten minutes after the last try."""
    Connection.objects.exclude(admin_key_due_at=None).update(admin_key_due_at=now())
    follow_connection()


def test_it_is_said_on_the_card_and_where_the_bill_is_missing(refused: Job, dana: User) -> None:
    assert BADGE in (card := text_of(signed_in(dana), "/settings/"))
    assert REFUSED in card
    assert "Working" in card, "the other key is good"
    assert 'about <span class="number">4.85</span> USD' in page_of(refused)
    assert UNKNOWN in page_of(refused)


def test_a_job_that_still_trains_misses_no_bill(refused: Job) -> None:
    Job.objects.update(ended_at=None, state=State.TRAINING)
    assert REFUSED not in page_of(refused)


def test_it_is_tried_every_ten_minutes_however_many_jobs_wait(
    refused: Job, fal: FakeFal, connection: Connection
) -> None:
    other = start(signed_in(refused.owner), connection, refused.owner)
    transferred(other)
    send_now(other)
    for paid in fal.jobs:
        fal.finish(paid)
    for _ in range(4):
        follow_connection()
        Training.objects.update(due_at=now())
        while follow.follow_next():
            pass
    assert not Training.objects.filter(is_over=True).exists()
    assert set(Job.objects.values_list("state", flat=True)) == {State.READY}
    assert asked_by_admin_key(fal) == 1
    for tries in (2, 3):
        try_again()
        follow_connection()
        assert asked_by_admin_key(fal) == tries


def test_it_is_forgotten_once_it_works_and_the_bill_comes(refused: Job, fal: FakeFal, dana: User) -> None:
    fal.admin_key = "a-wrong:admin-key"  # fal takes it now
    try_again()
    assert BADGE not in text_of(signed_in(dana), "/settings/")
    assert followed(refused).cost == float(fal.charged)
    assert "As billed; the estimate was 4.85." in page_of(refused)


def test_a_fault_of_fal_is_no_verdict(refused: Job, fal: FakeFal, dana: User) -> None:
    fal.html_errors_on = {"billing"}
    fal.admin_key = "a-wrong:admin-key"
    try_again()
    assert BADGE in text_of(signed_in(dana), "/settings/")
    fal.html_errors_on = ()
    try_again()
    assert BADGE not in text_of(signed_in(dana), "/settings/")


def test_the_key_of_a_member_is_none_of_an_admin(refused: Job, fal: FakeFal, settings: Any) -> None:
    settings.PROVIDER_ADMIN_KEYS = {"fal": fal.key}
    try_again()
    assert "fal says that the admin key is none of an admin." in page_of(refused)


def test_a_key_that_is_gone_is_refused_no_more(refused: Job, settings: Any, dana: User) -> None:
    settings.PROVIDER_ADMIN_KEYS = {"fal": ""}
    assert REFUSED not in text_of(signed_in(dana), "/settings/") + page_of(refused)


@pytest.fixture
def account(fal: FakeFal, dana: User) -> Connection:
    return services.add(name="Studio", provider="fal", key=fal.key, actor=dana)


def test_a_new_key_is_tried_by_the_worker_at_once(account: Connection, fal: FakeFal, dana: User) -> None:
    client = signed_in(dana)
    address = f"/settings/connections/{account.pk}/admin-key/"
    client.post(address, {"admin_key": "a-wrong:admin-key-0000"})
    assert BADGE not in text_of(client, "/settings/")
    follow_connection()
    assert BADGE in text_of(client, "/settings/")
    client.post(address, {"admin_key": fal.admin_key})
    assert BADGE not in text_of(client, "/settings/"), "nothing is known of the new key yet"
    follow_connection()
    assert BADGE not in text_of(client, "/settings/")
    assert Connection.objects.get(pk=account.pk).admin_key_due_at is None


def test_a_test_says_and_clears_it_too(account: Connection, fal: FakeFal, dana: User) -> None:
    client = signed_in(dana)
    client.post(f"/settings/connections/{account.pk}/admin-key/", {"admin_key": fal.admin_key})
    for key, is_refused in (("another:admin-key", True), (fal.admin_key, False)):
        fal.admin_key = key
        client.post(f"/settings/connections/{account.pk}/test/")
        assert (BADGE in text_of(client, "/settings/")) is is_refused


def test_a_removed_key_is_not_tried(account: Connection, fal: FakeFal, dana: User) -> None:
    client = signed_in(dana)
    client.post(f"/settings/connections/{account.pk}/admin-key/", {"admin_key": "a-wrong:admin-key-0000"})
    follow_connection()
    client.post(f"/settings/connections/{account.pk}/admin-key/", {"remove": "yes"})
    fal.requests.clear()
    try_again()
    assert asked_by_admin_key(fal) == 0
    assert BADGE not in text_of(client, "/settings/")
