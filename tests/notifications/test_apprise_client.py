"""News through Apprise, with a real web server on this machine as the receiver."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest
from apprise import NotificationManager
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.notifications import apprise_client, services
from finetune_portal.notifications.models import Channel, Notification
from finetune_portal.web import encryption
from tests.engine.sink import Answer, Sink, listening
from tests.notifications.conftest import fresh, work
from tests.people import make_job
from tests.ports import closed_port

SLACK = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
DISCORD = "https://discord.com/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"
TEAMS = (
    "https://prod-161.westeurope.logic.azure.com:443/workflows/643e69f83c8944438d68119179a10a64/triggers/manual"
    "/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=KODuebWbDGYFr0z0eu"
)


def channel_to(owner: User | None, address: str) -> Channel:
    shown = apprise_client.display_address(apprise_client.parse(address))
    return Channel.objects.create(
        owner=owner, kind="apprise", display_address=shown, encrypted_address=encryption.encrypt(address)
    )


def address_of(sink: Sink, path: str = "/hook", scheme: str = "json") -> str:
    return f"{scheme}://127.0.0.1:{sink.port}{path}"


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize("scheme", ["json", "xml", "form"])
def test_a_finished_training_is_told(scheme: str, alice: User, sink: Sink) -> None:
    channel = channel_to(alice, address_of(sink, scheme=scheme))
    job = make_job(alice, "ready", ended_at=now())
    work()
    (seen,) = sink.seen
    assert (seen.method, seen.path) == ("POST", "/hook")
    text = unquote_plus(seen.body.decode())
    for word in ("Day to night", "is ready", "Started by Alice", f"/jobs/{job.pk}/"):
        assert word in text
    assert fresh(channel).last_delivered_at is not None


@pytest.mark.usefixtures("near")
def test_the_words_arrive_as_they_were_written(alice: User, sink: Sink) -> None:
    channel_to(alice, address_of(sink))
    make_job(alice, "ready", ended_at=now(), name="Ä & <b> ${HOME} {{ name }}", is_simulated=True)
    work()
    payload = json.loads(sink.seen[0].body)
    assert payload["title"] == "“Ä & <b> ${HOME} {{ name }}” is ready"
    assert "The local engine only simulates: nothing was trained." in payload["message"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433"])
def test_an_address_on_the_inside_is_refused_and_not_called(host: str, alice: User, sink: Sink) -> None:
    channel = channel_to(alice, f"json://{host}:{sink.port}/hook")
    services.test(channel, actor=alice)
    work()
    assert sink.seen == []
    assert "This address is inside a private network." in fresh(channel).last_error
    assert Notification.objects.get().finished_at is not None


@pytest.mark.usefixtures("near")
def test_a_redirect_to_the_inside_is_refused(alice: User, sink: Sink) -> None:
    """127.0.0.1 is allowed here, ::1 is not."""
    inside = {"Location": f"http://[::1]:{sink.port}/inside"}
    with listening(lambda seen: Answer(307, headers=inside)) as first:
        channel = channel_to(alice, address_of(first))
        services.test(channel, actor=alice)
        work()
        assert len(first.seen) == 1
    assert sink.seen == []
    assert "This address is inside a private network." in fresh(channel).last_error


@pytest.mark.usefixtures("near")
def test_no_proxy_of_the_environment_is_used(
    alice: User, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    channel = channel_to(alice, address_of(sink))
    services.test(channel, actor=alice)
    work()
    assert len(sink.seen) == 1


@pytest.mark.usefixtures("near")
@pytest.mark.parametrize(
    ("status", "words", "is_over"),
    [
        (401, "JSON answered with status 401. Is the token right?", True),
        (404, "JSON answered with status 404. Was its webhook deleted?", True),
        (429, "JSON answered with status 429.", False),
        (503, "JSON answered with status 503.", False),
    ],
)
def test_a_failure_is_shown_in_words(status: int, words: str, is_over: bool, alice: User) -> None:
    make_job(alice, "ready", ended_at=now())
    with listening(lambda seen: Answer(status)) as sink:
        channel = channel_to(alice, address_of(sink, "/T0KEN"))
        Channel.objects.update(subscribed_at=now().replace(year=2020))
        work()
    assert fresh(channel).last_error == words
    assert (Notification.objects.get().finished_at is not None) is is_over


@pytest.mark.usefixtures("near")
def test_a_receiver_that_is_not_there_is_shown(alice: User) -> None:
    channel = channel_to(alice, f"json://127.0.0.1:{closed_port()}/")
    services.test(channel, actor=alice)
    work()
    assert fresh(channel).last_error == "JSON could not be reached, or did not answer in time."


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (SLACK, "Slack"),
        (DISCORD, "Discord"),
        (TEAMS, "Power Automate / Workflows (for MSTeams) at prod-161.westeurope.logic.azure.com:443"),
        ("tgram://123456789:AbcdefGHIJKLMNOPQRSTuvwxyz0123456789/12345/", "Telegram"),
        ("ntfy://a-secret-topic", "ntfy"),
        ("json://user:word@hooks.example.com:8443/T0KEN?x=1", "JSON at hooks.example.com:8443"),
    ],
)
def test_what_a_service_gives_is_understood_and_shown_without_its_secrets(address: str, shown: str) -> None:
    assert apprise_client.display_address(apprise_client.parse(address)) == shown


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd", "syslog://", "dbus://", "macosx://", "windows://", "mqtt://host/topic",
        "mailto://user:word@example.com", "xmpp://user:word@host", "irc://host/channel", "growl://host",
        "fcm://project@key/device/?keyfile=/etc/passwd", "matrix://user:word@host/room", "rsyslog://host",
        "https://example.com/hook", "http://127.0.0.1/", "nonsense://host", "://", "json://",
        f"{SLACK}?template=/etc/hostname", f"{SLACK}?template=file:///a.json", f"{DISCORD}?template=/a.json",
        f"{TEAMS}&template=https://example.com/a.json", f"{TEAMS}&%74emplate=/a.json",
    ],
)  # fmt: skip
def test_what_is_not_a_plain_call_over_http_is_refused(address: str) -> None:
    with pytest.raises(apprise_client.AddressError):
        apprise_client.parse(address)


def test_an_address_cannot_ask_for_longer_waits() -> None:
    service = apprise_client.parse("json://hooks.example.com/?rto=100000&cto=100000")
    assert service.request_timeout == (5.0, 15.0)


def test_every_listed_service_is_one_that_calls_by_requests_and_nothing_else() -> None:
    manager = NotificationManager()
    names = apprise_client.SERVICES.split()
    assert len(names) > 100
    for name in names:
        path = Path(inspect.getfile(manager[name]))
        source = path.read_text(encoding="utf-8")
        assert "import requests" in source, name
        for word in ("import socket", "subprocess", "threading", "keyfile", "smtplib"):
            assert word not in source, name


@pytest.mark.usefixtures("near")
def test_apprise_writes_nothing_into_the_log(alice: User, capfd: pytest.CaptureFixture[str]) -> None:
    """Its lines can hold hosts, addresses and what a service answered."""
    with pytest.raises(apprise_client.AddressError):
        apprise_client.parse("mailto://user:s3cr3t@example.com")
    with listening(lambda seen: Answer(500)) as failing:
        services.test(channel_to(alice, address_of(failing, "/s3cr3t")), actor=alice)
        work()
    out, err = capfd.readouterr()
    assert "s3cr3t" not in out + err
    assert "apprise" not in out + err


def test_the_database_holds_the_address_only_sealed(alice: User) -> None:
    channel = channel_to(alice, SLACK)
    assert "TIiajkdnlazkcOXrIdevi7FQ" not in str(list(Channel.objects.values()))
    assert encryption.decrypt(channel.encrypted_address) == SLACK


def test_a_lost_key_is_said(alice: User, settings: Any) -> None:
    channel = channel_to(alice, SLACK)
    (settings.DATA_DIR / "secrets" / "sealing-key").write_text("another")
    services.test(channel, actor=alice)
    work()
    assert fresh(channel).last_error.startswith("The encryption key of this address is gone.")


def test_the_key_is_readable_by_its_owner_only(alice: User, settings: Any) -> None:
    channel_to(alice, SLACK)
    assert (settings.DATA_DIR / "secrets" / "sealing-key").stat().st_mode & 0o077 == 0
