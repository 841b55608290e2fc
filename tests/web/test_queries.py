"""Whatever stands in a query string, the page stands."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from finetune_portal.accounts.models import User
from tests.people import make_job, signed_in

PAGES = {
    "/": "state mine by dataset public sweep tag archived q sort before after unfolded unfold fold",
    "/jobs/new/": "again dataset",
    "/jobs/new/parameters/": "connection parameters parameter-rank parameter-seed",
    "/jobs/compare/": "job sweep",
    "/datasets/": "q before after",
    "/datasets/twin/": "sha256",
    "/audit/": "actor action thing since until before after",
    "/settings/webhooks/deliveries/": "result event job before after",
}
ODD = ["9" * 18, str(2**63), "9" * 30, "-1", "1e5", "²", "\ud800", "1~x"]


@pytest.mark.parametrize("page", PAGES)
def test_words_that_make_no_sense_break_no_page(page: str, dana: User) -> None:
    client = signed_in(dana)
    make_job(dana)
    for name in PAGES[page].split():
        for odd in ODD:
            query = f"{name}={quote(odd.encode('utf-8', 'surrogatepass'))}"
            assert client.get(f"{page}?{query}").status_code in (200, 204, 302, 404), query
        assert client.get(f"{page}?{name}=a%00b").status_code == 400, "PostgreSQL cannot look for NUL"
