"""GET /settings/webhooks/, POST …/rotate/ and …/test/"""

from __future__ import annotations

import re
import socket
import ssl
from datetime import timedelta
from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.webhooks import self_test
from finetune_portal.webhooks.models import Delivery, Endpoint, SelfTest
from tests.engine.sink import Answer, listening
from tests.people import HTMX, signed_in
from tests.ports import closed_port
from tests.providers.segmind.test_connection_errors import CERTIFICATE
from tests.providers.segmind.test_connection_errors import listening as one_connection
from tests.webhooks.conftest import knock

PAGE, ROTATE = "/settings/webhooks/", "/settings/webhooks/rotate/"
TEST, STATE = "/settings/webhooks/test/", "/settings/webhooks/test/state/"
PAGES = [PAGE, STATE, "/settings/webhooks/deliveries/", "/settings/webhooks/deliveries/table/"]


def text_of(user: User) -> str:
    response = signed_in(user).get(PAGE)
    assert response.status_code == 200
    return response.content.decode()


def test_an_admin_makes_an_address_that_is_shown_once(dana: User) -> None:
    assert "None yet" in text_of(dana)
    html = signed_in(dana).post(ROTATE).content.decode()
    token = html.split("/hooks/segmind/")[1].split("/")[0]
    assert knock(f"/hooks/segmind/{token}/", {}) == 200
    assert AuditEvent.objects.get().action == "webhook.rotate"
    assert token not in text_of(dana)
    assert "One address" in text_of(dana)


def test_after_a_new_one_the_page_tells_when_the_old_one_ends(dana: User) -> None:
    for _ in range(2):
        signed_in(dana).post(ROTATE)
    old = Endpoint.objects.get(expires_at__isnull=False)
    html = text_of(dana)
    assert "<dt>Previous</dt>" in html
    assert f"{old.expires_at:%H:%M} UTC" in html
    Endpoint.objects.filter(pk=old.pk).update(expires_at=old.created_at)
    assert "<dt>Previous</dt>" not in text_of(dana)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:8000", "this machine only"),
        ("http://localhost", "this machine only"),
        ("http://[::1]:8000", "this machine only"),
        ("http://192.168.1.20", "inside a private network"),
        ("https://portal", "only your own network resolves"),
        ("https://portal.company.internal", "only your own network resolves"),
        ("https://portal.example.com", ""),
        ("https://8.8.8.8", ""),
    ],
)
def test_it_says_whether_the_address_can_be_reached_at_all(
    dana: User, settings: Any, url: str, words: str
) -> None:
    settings.PORTAL_URL = url
    html = text_of(dana)
    assert ("servers cannot reach it" in html) is bool(words)
    assert words in html


@pytest.mark.parametrize("name", ["alice", "charlie"])
@pytest.mark.parametrize("url", PAGES)
def test_only_admins_see_it(name: str, url: str, request: pytest.FixtureRequest) -> None:
    client = signed_in(request.getfixturevalue(name))
    assert client.get(url, headers=HTMX).status_code == 403
    assert PAGE not in client.get("/settings/").content.decode()


def outcome(dana: User, url: str, settings: Any) -> str:
    """What the page says after a self-test with this public address."""
    settings.PORTAL_URL = url
    client = signed_in(dana)
    html = client.post(TEST, headers=HTMX).content.decode()
    assert "On its way" in html
    assert "every 1s" in html
    assert client.get(STATE, headers=HTMX).status_code == 204
    assert self_test.run_next()
    html = client.get(STATE, headers=HTMX).content.decode()
    assert "every 1s" not in html
    return html


@pytest.mark.django_db(transaction=True)
def test_a_sample_comes_back_and_is_no_delivery(
    dana: User, settings: Any, request: pytest.FixtureRequest
) -> None:
    live_server = request.getfixturevalue("live_server")  # once there is a folder for static files
    settings.SEGMIND_WEBHOOK_SECRET = "a secret"
    html = outcome(dana, live_server.url, settings)
    assert re.search(r"Received after \d+\.\d", html)
    assert "inside your network" in html
    assert not Delivery.objects.exists()
    assert AuditEvent.objects.get().action == "webhook.test"
    assert not self_test.run_next(), "it is done once"


def test_its_token_is_good_for_this_once_and_stored_nowhere(dana: User, settings: Any) -> None:
    with listening() as sink:
        html = outcome(dana, sink.url, settings)
    assert "the sample did not arrive here" in html, "200 alone proves nothing"
    path = sink.seen[0].path
    assert knock(path, {}) == 404
    assert path.split("/")[-2] not in str(list(SelfTest.objects.values()))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(404), "answered 404. Something answers there, but not the portal."),
        (Answer(301, headers={"Location": "/elsewhere"}), "answered 301. It is a redirect"),
        (Answer(403), "answered 403. Something in front of the portal"),
        (Answer(502), "answered 502. The proxy answers but does not reach the portal."),
        (Answer(204), "answered 204."),
    ],
)
def test_a_wrong_status_is_told(dana: User, settings: Any, answer: Answer, words: str) -> None:
    with listening(lambda seen: answer) as sink:
        assert words in outcome(dana, sink.url, settings)
    assert len(sink.seen) == 1, "no redirect is followed, and nothing is tried again"


def test_dns_a_refusal_and_plain_http_are_told_apart(dana: User, settings: Any) -> None:
    assert "was not found (DNS)" in outcome(dana, "https://nowhere.invalid", settings)
    assert "nothing listens there" in outcome(dana, f"http://127.0.0.1:{closed_port()}", settings)
    with listening() as sink:
        html = outcome(dana, sink.url.replace("http:", "https:"), settings)
    assert "does not speak TLS" in html


def test_a_certificate_that_nobody_vouches_for_is_told(dana: User, settings: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with one_connection(lambda raw: context.wrap_socket(raw, server_side=True).close()) as port:
        html = outcome(dana, f"https://localhost:{port}", settings)
    assert "The certificate of localhost is not valid" in html


def test_an_address_that_says_nothing_is_told(
    dana: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_test, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        html = outcome(dana, f"http://127.0.0.1:{server.getsockname()[1]}", settings)
    assert "did not answer within" in html


def test_a_worker_that_does_not_come_is_told(dana: User) -> None:
    client = signed_in(dana)
    client.post(TEST)
    SelfTest.objects.update(created_at=SelfTest.objects.get().created_at - timedelta(minutes=1))
    assert "Is the worker running?" in client.get(STATE, headers=HTMX).content.decode()


def test_without_htmx_the_test_leads_back_to_the_page(dana: User) -> None:
    client = signed_in(dana)
    assert client.post(TEST).headers["Location"] == PAGE
    assert client.get(STATE).headers["Location"] == PAGE
    assert "On its way" in client.get(PAGE).content.decode()
