"""The copy's way home is on every open page at once, in the row of the job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.registry import copying
from tests.people import person
from tests.provider import Answer, ScriptedProvider, half
from tests.registry.finished import content, copied, finished
from tests.web_server import Reader, WebServer, session_of
from tests.worker.driving import point_at

DATA = content(5, 1_000_000)


@pytest.fixture
def provider(web: WebServer, settings: Any) -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        point_at(settings, running)
        yield running


@pytest.fixture
def maker(web: WebServer) -> User:
    return person("alice", User.Role.MAKER)


def next_row(stream: Reader, words: str) -> str:
    """The next row with these words, before the third beat of the stream, of which one comes every 5 s."""
    beats = 0
    for name, data in stream.events():
        beats += name == "beat"
        assert beats < 3, f"{words} was waited for"
        if name == "row" and words in (html := str(data["html"])):
            return html
    raise AssertionError("the stream ended")


def test_a_row_says_how_far_the_copy_is(
    web: WebServer, provider: ScriptedProvider, maker: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "SHOWN_SECONDS", 0.0)
    with web.connect("/live/", session_of(maker)) as stream:
        stream.next("hello")
        job = finished(maker, provider, DATA)
        assert "Ready" not in next_row(stream, "Copying home")
        provider.script("fetch", half())
        copied(job)
        next_row(stream, "Not copied home yet")
        copied(job)
        assert 'data-state="ready"' in next_row(stream, " Ready")


def test_a_slow_storage_is_followed_in_percent(
    web: WebServer, provider: ScriptedProvider, maker: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "SHOWN_SECONDS", 0.0)
    with web.connect("/live/", session_of(maker)) as stream:
        stream.next("hello")
        job = finished(maker, provider, DATA)
        provider.script("fetch", Answer(ending="slow"))
        copied(job)
        seen = []
        while 'data-state="ready"' not in (html := str(stream.next("row")["html"])):
            seen.append(html)
    assert [html for html in seen if "Copying home, " in html and "<progress" in html]
