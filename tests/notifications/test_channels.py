"""The page of channels: /settings/notices/ and what can be done there."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.notifications.forms import MAX_CHANNELS
from finetune_portal.notifications.models import Channel, Notification
from finetune_portal.web import encryption
from tests.engine.sink import Sink
from tests.notifications.conftest import MailServer, fresh, work
from tests.people import HTMX, signed_in

PAGE = "/settings/notices/"
SLACK = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
ACTIONS = {"test": {}, "switch": {"event": "ready"}, "remove": {}}


def make_channel(owner: User | None, **fields: Any) -> Channel:
    values = {
        "kind": "apprise",
        "label": "#jobs",
        "display_address": "Slack",
        "encrypted_address": encryption.encrypt(SLACK),
    }
    return Channel.objects.create(owner=owner, **{**values, **fields})


@pytest.fixture
def channel(alice: User) -> Channel:
    return make_channel(alice)


def action_url(channel: Channel, name: str) -> str:
    return f"{PAGE}{channel.pk}/{name}/"


def page_of(user: User) -> str:
    return signed_in(user).get(PAGE).content.decode()


@pytest.mark.parametrize("name", ["alice", "charlie", "dana"])
def test_everyone_has_channels_of_their_own(name: str, request: pytest.FixtureRequest) -> None:
    user = request.getfixturevalue(name)
    answer = signed_in(user).post(f"{PAGE}add/", {"address": SLACK, "label": "#jobs"})
    assert answer.headers["Location"] == PAGE
    channel = Channel.objects.get()
    assert (channel.owner, channel.kind, channel.display_address) == (user, "apprise", "Slack")
    event = AuditEvent.objects.get()
    assert (event.action, event.actor) == ("notice.add", user)
    html = page_of(user)
    assert "#jobs" in html
    for text in (html, str(event.detail)):
        assert "TIiajkdnlazkcOXrIdevi7FQ" not in text


def test_adding_sends_a_test_at_once(alice: User, mail: MailServer) -> None:
    User.objects.filter(pk=alice.pk).update(is_email_verified=True)
    signed_in(alice).post(f"{PAGE}add/", {"address": alice.email})
    work()
    (message,) = mail.mails
    assert (message["To"], message["Subject"]) == (alice.email, "A test from the Finetune Portal")
    assert "Delivered" in page_of(alice)


def test_an_admin_makes_one_for_the_team(dana: User, alice: User) -> None:
    signed_in(dana).post(f"{PAGE}add/", {"address": SLACK, "for_team": "on", "label": "#all"})
    assert Channel.objects.get().is_team_channel
    assert "#all" in page_of(dana)
    assert "#all" not in page_of(alice)


def test_others_cannot_make_one_for_the_team(alice: User) -> None:
    signed_in(alice).post(f"{PAGE}add/", {"address": SLACK, "for_team": "on"})
    assert Channel.objects.get().owner == alice
    assert "For the whole team" not in page_of(alice)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "Enter an e-mail address or a URL."),
        ("alice@", "Enter a valid email address."),
        ("file:///etc/passwd", "The portal cannot send to this address."),
        ("json://" + "a" * 2000, "at most 2000 characters"),
    ],
)
def test_an_address_that_does_not_work_is_said(
    address: str, words: str, alice: User, mail: MailServer
) -> None:
    for headers in ({}, HTMX):
        answer = signed_in(alice).post(f"{PAGE}add/", {"address": address}, headers=headers)
        assert answer.status_code == 422
        assert words in answer.content.decode()
    assert not Channel.objects.exists()
    assert not AuditEvent.objects.exists()


def test_without_a_mail_server_the_page_says_so(alice: User, settings: Any) -> None:
    settings.EMAIL_HOST = "mail.example"
    assert "An e-mail address, or the webhook URL" in page_of(alice)
    assert "Add an e-mail address or a chat" in page_of(alice)
    settings.EMAIL_HOST = ""
    page = page_of(alice)
    assert "This portal cannot send e-mail yet" in page
    assert "n e-mail address" not in page
    answer = signed_in(alice).post(f"{PAGE}add/", {"address": "alice@example.com"})
    assert "This portal cannot send e-mail yet. Ask its operator, or enter a URL." in answer.content.decode()
    assert not Channel.objects.exists()


def test_there_is_an_end_to_channels(alice: User) -> None:
    for _ in range(MAX_CHANNELS):
        make_channel(alice)
    answer = signed_in(alice).post(f"{PAGE}add/", {"address": SLACK})
    assert f"{MAX_CHANNELS} channels are the limit." in answer.content.decode()
    assert Channel.objects.count() == MAX_CHANNELS


@pytest.mark.usefixtures("near")
def test_the_test_button_sends_and_the_piece_asks_until_it_is_known(alice: User, sink: Sink) -> None:
    channel = make_channel(alice, encrypted_address=encryption.encrypt(f"json://127.0.0.1:{sink.port}/"))
    client, piece = signed_in(alice), f"{PAGE}{channel.pk}/state/"
    html = client.post(action_url(channel, "test"), headers=HTMX).content.decode()
    assert "Sending" in html
    assert f'hx-get="{piece}" hx-trigger="every 1s"' in html
    client.post(action_url(channel, "test"), headers=HTMX)
    assert client.get(piece, headers=HTMX).status_code == 204
    work()
    assert len(sink.seen) == 1, "a second press while one is on its way sends no second"
    html = client.get(piece, headers=HTMX).content.decode()
    assert "Delivered" in html
    assert "hx-get" not in html
    assert [event.action for event in AuditEvent.objects.all()] == ["notice.test"]


@pytest.mark.usefixtures("near")
def test_a_failed_test_is_shown_and_tried_once(alice: User, sink: Sink) -> None:
    channel = make_channel(alice, encrypted_address=encryption.encrypt("json://127.0.0.1:1/"))
    client = signed_in(alice)
    client.post(action_url(channel, "test"))
    work()
    html = client.get(f"{PAGE}{channel.pk}/state/", headers=HTMX).content.decode()
    assert "Not delivered" in html
    assert "JSON could not be reached, or did not answer in time." in html
    assert "hx-get" not in html
    assert Notification.objects.get().attempts == 1


def test_each_event_is_switched_by_itself(alice: User, channel: Channel) -> None:
    client = signed_in(alice)
    html = client.post(action_url(channel, "switch"), {"event": "failed"}, headers=HTMX).content.decode()
    channel_now = fresh(channel)
    assert (
        channel_now.is_subscribed_to_ready,
        channel_now.is_subscribed_to_failed,
        channel_now.is_subscribed_to_decision,
    ) == (
        True,
        False,
        True,
    )
    assert html.count('aria-checked="false"') == 1
    client.post(action_url(channel, "switch"), {"event": "failed", "on": "on"})
    assert fresh(channel).is_subscribed_to_failed
    client.post(action_url(channel, "switch"), {"event": "failed", "on": "on"})
    assert [event.detail["on"] for event in AuditEvent.objects.order_by("pk")] == [False, True]


def test_an_unknown_event_is_refused(alice: User, channel: Channel) -> None:
    assert signed_in(alice).post(action_url(channel, "switch"), {"event": "test"}).status_code == 400
    assert not AuditEvent.objects.exists()


def test_a_deleted_channel_is_gone_with_what_it_had_to_tell(alice: User, channel: Channel) -> None:
    Notification.objects.create(channel=channel, event="test")
    html = signed_in(alice).post(action_url(channel, "remove"), follow=True).content.decode()
    assert "#jobs was deleted." in html
    assert not Channel.objects.exists()
    assert not Notification.objects.exists()
    assert AuditEvent.objects.get().action == "notice.remove"


def test_an_admin_does_all_to_the_teams(dana: User, bob: User) -> None:
    channel = make_channel(None)
    for name, data in ACTIONS.items():
        assert signed_in(dana).post(action_url(channel, name), data).status_code == 302
    assert not Channel.objects.exists()


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("who", ["bob", "charlie", "dana"])
def test_the_channel_of_another_is_not_there(
    name: str, who: str, channel: Channel, request: pytest.FixtureRequest
) -> None:
    client = signed_in(request.getfixturevalue(who))
    assert client.post(action_url(channel, name), ACTIONS[name]).status_code == 404
    assert client.get(f"{PAGE}{channel.pk}/state/", headers=HTMX).status_code == 404
    untouched(channel)


@pytest.mark.parametrize("name", ACTIONS)
def test_the_teams_channel_is_for_admins(name: str, alice: User) -> None:
    channel = make_channel(None)
    assert signed_in(alice).post(action_url(channel, name), ACTIONS[name]).status_code == 404
    untouched(channel)


def untouched(channel: Channel) -> None:
    assert fresh(channel).is_subscribed_to_ready
    assert not Notification.objects.exists()
    assert not AuditEvent.objects.exists()


def test_a_plain_visit_to_a_piece_leads_to_the_page(alice: User, channel: Channel) -> None:
    assert signed_in(alice).get(f"{PAGE}{channel.pk}/state/").headers["Location"] == PAGE


def test_a_failure_of_the_past_stays_to_be_seen(alice: User) -> None:
    make_channel(
        alice, last_error="Slack answered with status 404. Was its webhook deleted?", last_failed_at=now()
    )
    html = page_of(alice)
    assert "Not delivered" in html
    assert "Slack answered with status 404. Was its webhook deleted?" in html


def test_the_settings_page_and_the_account_menu_lead_here(alice: User) -> None:
    html = signed_in(alice).get("/settings/").content.decode()
    assert html.count(f'href="{PAGE}"') == 2
