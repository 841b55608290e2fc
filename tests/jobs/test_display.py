"""How high the rows of the table are, and which columns it has, is kept in the browser that chose it."""

from __future__ import annotations

import re

import pytest
from django.conf import settings

from finetune_portal.accounts.models import User
from tests.people import HTMX, make_job, signed_in
from tests.worker.driving import text_of

SHOWN = re.compile(r'id="job-table" data-layout="(\w+)" data-density="(\w+)" data-columns="([^"]*)"')
DEFAULT = ("table", "comfortable", "details started visibility")


def shown(html: str) -> tuple[str, ...]:
    match = SHOWN.search(html)
    assert match
    return match.groups()


def test_a_choice_holds_on_the_page_and_while_the_table_asks_again(alice: User, charlie: User) -> None:
    make_job(alice, steps=2000)
    client = signed_in(charlie)
    html = text_of(client, "/?state=active&before=x")
    assert shown(html) == DEFAULT
    query = re.search(r'action="/jobs/display/".*?name="query" value="([^"]+)"', html, re.S)
    assert query
    choice = {
        "density": "compact",
        "column": ["visibility", "steps"],
        "query": query[1].replace("&amp;", "&"),
    }
    assert client.post("/jobs/display/", choice).headers["Location"] == "/?state=active&before=x"
    html = text_of(client)
    assert shown(html) == ("table", "compact", "steps visibility")
    assert 'name="column" value="steps" checked' in html
    assert 'name="column" value="started" >' in html
    assert '<td data-column="steps" class="number">2,000</td>' in html
    assert shown(client.get("/jobs/table/", headers=HTMX).content.decode()) == shown(html)
    client.get("/?layout=grid")
    client.get("/?layout=table")
    assert shown(text_of(client)) == ("table", "compact", "steps visibility"), "the layout is another choice"
    assert shown(text_of(signed_in(alice))) == DEFAULT


@pytest.mark.parametrize("cookie", ["", "pink", "::", "a:b:c.d", '"><script>::', "table:compact"])
def test_what_is_no_choice_shows_what_is_known(alice: User, cookie: str) -> None:
    make_job(alice)
    client = signed_in(alice)
    client.cookies[settings.TABLE_COOKIE_NAME] = cookie
    layout, density, columns = shown(text_of(client))
    assert (layout, density) == DEFAULT[:2]
    assert columns in (DEFAULT[2], "")
    client.post("/jobs/display/", {"density": "pink", "column": ["pink", "steps"]})
    assert shown(text_of(client)) == ("table", "comfortable", "steps")
