"""Which addresses the calls name and take: the public one, and https where it is."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from finetune_portal.accounts.models import User
from tests.gateway.api_client import (
    LIST,
    PRESIGNED,
    call,
    error_of,
    row_of,
    token_of,
)


@pytest.mark.parametrize("host", ["web:8000", "127.0.0.1:54321", "portal.example.com:8000"])
def test_upload_urls_are_the_public_ones_behind_any_proxy(alice: User, settings: Any, host: str) -> None:
    settings.PORTAL_URL, settings.ALLOWED_HOSTS = "https://portal.example.com:8443", ["*"]
    token = token_of(alice, "train")
    urls = call(token, "GET", PRESIGNED, {"name": "a.zip"}, Host=host).json()
    for url in urls.values():
        assert url.startswith("https://portal.example.com:8443/finetune/uploads/")
    page = Client()
    page.force_login(alice)
    assert "https://portal.example.com:8443" in page.get("/api/", headers={"host": host}).content.decode()


def test_without_a_public_address_upload_urls_are_those_of_the_caller(alice: User, settings: Any) -> None:
    settings.PORTAL_URL = settings.WEB_URL
    settings.ALLOWED_HOSTS = ["*"]
    urls = call(token_of(alice, "train"), "GET", PRESIGNED, {"name": "a.zip"}, Host="10.0.0.7:8000").json()
    assert urls["s3_url"].startswith("http://10.0.0.7:8000/finetune/uploads/")


def test_a_token_that_came_in_the_open_is_told_so_and_not_led_on(alice: User, settings: Any) -> None:
    """A redirect would hide for years that each call sends the token twice, once for all to read."""
    settings.SECURE = settings.SECURE_SSL_REDIRECT = True
    text = token_of(alice)
    answer = call(text, "GET", LIST)
    assert (answer.status_code, error_of(answer).partition(".")[0]) == (403, "Use https")
    assert Client().get(LIST, headers={"x-api-key": text}, secure=True).status_code == 200
    assert row_of(text).last_used_at
