"""An account at fal that an admin adds on /settings/: its key, its admin key, its trainers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections import capabilities, services
from finetune_portal.connections.client import adapter_for
from finetune_portal.connections.models import Connection
from tests import databases
from tests.fal.server import FakeFal
from tests.people import HTMX, signed_in
from tests.worker.driving import text_of

PAGE = "/settings/"
HINTS = ("Segmind’s keys are SG_", "Keys of fal have two parts with a colon between them.")


@pytest.fixture
def fal(db: None, settings: Any) -> Iterator[FakeFal]:
    """A fake of which the environment has no key."""
    with FakeFal() as running:
        settings.PROVIDER_ADDRESSES = {
            "fal": {
                "queue": running.queue_url,
                "rest": running.rest_url,
                "cdn": running.cdn_url,
                "api": running.api_url,
            }
        }
        yield running


@pytest.fixture
def account(fal: FakeFal, dana: User) -> Connection:
    data = {"name": "Team at fal", "provider": "fal", "key": fal.key}
    assert signed_in(dana).post("/settings/connections/add/", data).status_code == 302
    return Connection.objects.get(kind="own")


def sent(dana: User, account: Connection, action: str, **fields: str) -> str:
    """The card, or the sentence, that the page answers with."""
    url = f"/settings/connections/{account.pk}/{action}/"
    html = signed_in(dana).post(url, fields, headers=HTMX).content.decode()
    account.refresh_from_db()
    return " ".join(html.split())


def known(account: Connection) -> None:
    """The worker asks what the provider can do and train."""
    while account.capabilities_due_at <= now():
        assert capabilities.refresh_next()
        account.refresh_from_db()


def test_it_is_added_and_its_key_proven(account: Connection, fal: FakeFal, dana: User) -> None:
    page = text_of(signed_in(dana), PAGE)
    assert "Team at fal" in page
    assert f"…{fal.key[-4:]}" in page
    assert account.checked_at is None or not account.failing_since
    assert fal.key not in page
    assert fal.key not in databases.every_value()
    assert fal.sent("status"), "a question that costs nothing"
    assert not fal.jobs


def test_a_key_that_fal_refuses_says_so(fal: FakeFal, dana: User) -> None:
    data = {"name": "Team at fal", "provider": "fal", "key": "a-wrong:key-0000"}
    response = signed_in(dana).post("/settings/connections/add/", data, follow=True)
    assert "does not accept the API key" in response.content.decode()


def test_the_hint_fits_the_provider(account: Connection, dana: User) -> None:
    page = text_of(signed_in(dana), PAGE)
    form, card = page.partition('id="connection-form"')[2], page.partition(f'id="connection-{account.pk}"')[2]
    assert all(hint in form for hint in HINTS), "nobody has chosen one yet"
    card = card.partition("</article>")[0]
    assert [hint in card for hint in HINTS] == [False, True]
    assert "does not look like one of this provider" in sent(dana, account, "key", key="no-colon-in-it")
    assert "does not look like" not in sent(dana, account, "key", key="two:parts-with-a-colon")


def test_the_card_counts_the_trainers(account: Connection, fal: FakeFal, dana: User) -> None:
    known(account)
    assert "<dt>Trainers</dt><dd>10</dd>" in text_of(signed_in(dana), PAGE)
    fal.deprecated = {"fal-ai/flux-kontext-trainer"}
    Connection.objects.update(capabilities_due_at=now())
    account.refresh_from_db()
    known(account)
    html = text_of(signed_in(dana), PAGE)
    assert "<dt>Trainers</dt><dd>10, of which 1 takes no new jobs</dd>" in html
    assert html.count("<dt>Trainers</dt>") == 1, "an engine has one, and names none"


def test_nothing_of_the_closing_of_segmind_is_said_of_fal(account: Connection, dana: User) -> None:
    assert "The key works." in (html := sent(dana, account, "test"))
    assert "Whether new jobs are taken" not in html
    assert "may be closed to new jobs" not in html


def test_an_admin_key_is_set_proven_and_removed(account: Connection, fal: FakeFal, dana: User) -> None:
    known(account)
    assert "cost" not in account.capabilities
    html = sent(dana, account, "admin-key", admin_key=fal.admin_key)
    assert f"…{fal.admin_key[-4:]}" in html
    assert "Test the connection to prove it." in html
    assert fal.admin_key not in html + databases.every_value() + text_of(signed_in(dana), "/audit/")
    known(account)
    assert {"cost", "balance"} <= set(account.capabilities)
    assert "Both keys work. The balance is 1,000 USD." in sent(dana, account, "test")
    with adapter_for(account) as adapter:
        assert adapter.balance()
    assert "Remove the admin key" in text_of(signed_in(dana), PAGE)
    sent(dana, account, "admin-key", remove="yes")
    assert (account.encrypted_admin_key, account.admin_last_four) == ("", "")
    assert "Remove the admin key" not in text_of(signed_in(dana), PAGE)
    events = AuditEvent.objects.filter(action="connection.admin-key").order_by("pk")
    last_four = f"…{fal.admin_key[-4:]}"
    assert [event.detail for event in events] == [
        {"before": "none", "after": last_four},
        {"before": last_four, "after": "none"},
    ]


def test_a_wrong_admin_key_is_told_apart_from_the_key(account: Connection, fal: FakeFal, dana: User) -> None:
    sent(dana, account, "admin-key", admin_key="a-wrong:admin-key-0000")
    html = sent(dana, account, "test")
    assert "The API key works, but not the admin key. fal does not accept the admin key." in html
    assert not account.is_key_rejected
    sent(dana, account, "admin-key", admin_key=fal.key)
    assert "The API key works, but not the admin key." in sent(dana, account, "test")


def test_an_admin_key_that_is_none_is_refused_in_the_card(account: Connection, dana: User) -> None:
    for key, sentence in (("", "Paste the admin key."), ("short", "This is not an API key.")):
        assert sentence in sent(dana, account, "admin-key", admin_key=key)
    assert account.encrypted_admin_key == ""


def test_a_lost_encryption_key_is_said_and_the_other_key_goes_on(
    account: Connection, fal: FakeFal, dana: User, settings: Any
) -> None:
    sent(dana, account, "admin-key", admin_key=fal.admin_key)
    settings.ENCRYPTION_KEYS = ["another key than that of then"]
    sent(dana, account, "key", key=fal.key)
    assert "Cannot be decrypted" in text_of(signed_in(dana), PAGE)
    assert "The key works." in sent(dana, account, "test")
    sent(dana, account, "admin-key", admin_key=fal.admin_key)
    assert "Both keys work." in sent(dana, account, "test")


def test_the_environment_sets_the_admin_key_of_its_own_connection(
    fal: FakeFal, dana: User, settings: Any
) -> None:
    settings.PROVIDER_KEYS, settings.PROVIDER_ADMIN_KEYS = {"fal": fal.key}, {"fal": fal.admin_key}
    services.built_in()
    account = Connection.objects.get(provider="fal")
    assert "takes no admin key from this page" in sent(dana, account, "admin-key", admin_key="another:key")
    page = text_of(signed_in(dana), PAGE)
    assert f"…{fal.admin_key[-4:]}" in page
    assert f"/settings/connections/{account.pk}/admin-key/" not in page
    assert fal.admin_key not in page
    assert "Both keys work." in sent(dana, account, "test")


def test_segmind_and_the_engine_have_no_admin_key(fal: FakeFal, dana: User) -> None:
    engine = services.built_in()
    assert "Admin key" not in text_of(signed_in(dana), PAGE)
    assert "takes no admin key" in sent(dana, engine, "admin-key", admin_key="an-admin:key")
