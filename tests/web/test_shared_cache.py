"""Counts that all processes share: a limit holds once, however many processes answer."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from finetune_portal.web import shared_cache
from finetune_portal.web.models import CacheEntry
from tests.gateway.api_client import LIST, call, token_of
from tests.people import person
from tests.web_server import WebServer


def expire(key: str) -> None:
    CacheEntry.objects.filter(key__endswith=key).update(expires_at=now() - timedelta(seconds=1))


@pytest.mark.parametrize("value", [0, True, [1.5, 2.5], "text", {"a": None}])
def test_it_keeps_what_json_can_say(value: Any, db: None) -> None:
    cache.set("key", value, 60)
    assert cache.get("key") == value
    cache.set("key", [value], 60)
    assert cache.get("key") == [value]
    assert cache.delete("key")
    assert not cache.delete("key")
    assert cache.get("key", "none") == "none"


def test_only_the_first_adds(db: None) -> None:
    assert cache.add("key", 1, 60)
    assert not cache.add("key", 2, 60)
    expire("key")
    assert cache.get("key") is None
    assert cache.add("key", 3, 60)
    assert cache.get("key") == 3


def test_what_exists_is_not_added_again_by_a_write(db: None) -> None:
    cache.add("key", 1, 60)
    with CaptureQueriesContext(connection) as queries:
        cache.add("key", 1, 60)
    assert len(queries) == 1


def test_a_number_grows_until_it_expires(db: None) -> None:
    cache.add("key", 0, 60)
    assert [cache.incr("key"), cache.incr("key", 10), cache.decr("key")] == [1, 11, 10]
    expire("key")
    with pytest.raises(ValueError, match="no entry key"):
        cache.incr("key")


def test_nothing_is_kept_for_ever(db: None) -> None:
    with pytest.raises(TypeError):
        cache.set("key", 1, None)
    cache.set("old", 1, 60)
    cache.set("new", 1, 60)
    expire("old")
    assert shared_cache.delete_expired()
    assert not shared_cache.delete_expired()
    assert [entry.key for entry in CacheEntry.objects.all()] == [":1:new"]


def test_two_processes_count_the_calls_of_a_token_together(web: WebServer, settings: Any) -> None:
    """The other process answers no more calls in a minute than this one left."""
    token = token_of(person("alice", "maker"))

    def elsewhere(_: int) -> int:
        return requests.get(web.url + LIST, headers={"x-api-key": token}, timeout=60).status_code

    for _ in range(5):  # the minute may turn
        minute = time.time() // 60
        assert call(token, "GET", LIST).status_code == 200
        entry = CacheEntry.objects.filter(key__contains=":gateway:").latest("expires_at")
        cache.set(entry.key.removeprefix(":1:"), settings.TOKEN_CALLS - 8, 120)  # as if by that many calls
        with ThreadPoolExecutor(8) as pool:
            there = Counter(pool.map(elsewhere, range(16)))
        if time.time() // 60 == minute:
            break
    assert there == {200: 8, 429: 8}
