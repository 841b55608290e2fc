"""What every answer carries, and the messages that ride along on pieces."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.web.middleware import CONTENT_SECURITY_POLICY
from tests.gateway.api_client import token_of
from tests.people import HTMX, make_job, signed_in

PATHS = ["/", "/login/", "/jobs/table/", "/jobs/new/", "/datasets/", "/settings/", "/healthz", "/nowhere/"]


@pytest.mark.parametrize("path", [*PATHS, "/hooks/segmind/x/"])
@pytest.mark.parametrize("who", ["stranger", "signed in"])
def test_every_answer_is_closed_to_other_sites(path: str, who: str, alice: User) -> None:
    """H1, H2, H11"""
    client = Client() if who == "stranger" else signed_in(alice)
    headers = client.get(path).headers
    assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "no-store" in headers["Cache-Control"]


def test_the_policy_allows_nothing_inline_and_nothing_foreign() -> None:
    """H3"""
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "http" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY


def test_under_tls_the_browser_is_told_to_stay_there(client: Client, settings: Any) -> None:
    settings.SECURE = True
    assert client.get("/healthz").headers["Content-Security-Policy"].endswith("; upgrade-insecure-requests")


def test_plain_http_is_sent_on_to_https(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    response = Client().get("/login/?next=/jobs/")
    assert response.status_code == 301
    assert response.headers["Location"] == "https://testserver/login/?next=/jobs/"
    assert Client().get("/healthz").status_code == 200
    assert Client().get("/login/", secure=True).status_code == 200


def test_a_message_rides_along_on_a_piece_once(alice: User) -> None:
    client, job = signed_in(alice), make_job(alice)
    client.get(f"/jobs/{job.pk}/download/")
    html = client.get("/jobs/table/", headers=HTMX).content.decode()
    assert 'hx-swap-oob="true"' in html
    assert "The model file is not there yet." in html
    assert "not there yet" not in client.get("/jobs/table/", headers=HTMX).content.decode()


def test_a_message_waits_while_there_is_no_piece_to_ride_on(alice: User) -> None:
    client, job = signed_in(alice), make_job(alice)
    html = client.get("/jobs/table/", headers=HTMX).content.decode()
    seen = html.split("seen=")[1].split('"')[0]
    client.get(f"/jobs/{job.pk}/download/")
    assert client.get("/jobs/table/", {"seen": seen}, headers=HTMX).status_code == 204
    assert "not there yet" in client.get("/").content.decode()


def test_a_page_that_brings_itself_up_to_date_takes_no_message_from_the_next_one(alice: User) -> None:
    """The old page hears of the change while the new one is on its way, or another tab does."""
    client, job = signed_in(alice), make_job(alice)
    client.get(f"/jobs/{job.pk}/download/")
    changed = client.get("/jobs/table/", {"seen": "an older state"}, headers=HTMX)
    assert (changed.status_code, b"not there yet" in changed.content) == (200, False)
    assert "not there yet" in client.get("/").content.decode()


def test_a_broken_page_leaks_nothing_but_a_number(dana: User, settings: Any) -> None:
    """Whatever broke: here the jobs are gone."""
    client = signed_in(dana)
    client.raise_request_exception = False
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE jobs_job RENAME TO jobs_gone")
    response = client.get("/")
    assert response.status_code == 500
    html = response.content.decode()
    assert response.headers["X-Request-ID"] in html
    for leak in ("Traceback", "jobs_", "finetune_portal/", "OperationalError", "ProgrammingError"):
        assert leak not in html


def test_plain_http_on_a_network_is_told_on_every_page(client: Client, alice: User, settings: Any) -> None:
    assert "Not encrypted (http):" not in client.get("/login/").content.decode()
    settings.PLAIN_HTTP = True
    assert "Not encrypted (http):" in client.get("/login/").content.decode()
    assert "Not encrypted (http):" in signed_in(alice).get("/").content.decode()
    settings.SECURE = True
    assert "Not encrypted (http):" not in client.get("/login/").content.decode()


def test_what_a_browser_refused_is_logged_but_never_floods(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caches["process"].delete("csp-reports")
    report = {"csp-report": {"blocked-uri": "inline", "document-uri": "http://testserver/"}}
    for _ in range(30):
        assert client.post("/csp-report/", report, content_type="application/csp-report").status_code == 204
    assert 0 < len(caplog.records) <= 20
    assert "blocked-uri" in caplog.text


def test_every_refusal_is_a_line_that_says_who_asked_for_what(
    alice: User, charlie: User, caplog: pytest.LogCaptureFixture
) -> None:
    signed_in(charlie).get("/jobs/new/")
    signed_in(alice).post("/team/1/role/", {"role": "admin"})
    Client(enforce_csrf_checks=True).post("/login/", {"username": alice.email})
    Client(headers={"x-api-key": "ftp_nonsense"}).get("/finetune/request/list")
    Client(headers={"x-api-key": token_of(charlie)}).post("/finetune/request/submit")
    assert [record.getMessage() for record in caplog.records] == [
        f"Denied with 403: GET /jobs/new/, user {charlie.pk}",
        f"Denied with 403: POST /team/1/role/, user {alice.pk}",
        "Denied with 403: POST /login/, anonymous",
        "Denied with 401: GET /finetune/request/list, anonymous",
        f"Denied with 403: POST /finetune/request/submit, user {charlie.pk}",
    ]
