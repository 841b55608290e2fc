"""The first load of the table: how much comes, and that nothing moves."""

from __future__ import annotations

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from tests.e2e.conftest import ROOT, Visitor
from tests.e2e.live.looking import PUBLISHED, says
from tests.e2e.live.proxy import Proxy
from tests.people import made_preview, make_dataset, make_job, signed_in
from tests.web_server import WebServer, session_of

pytestmark = pytest.mark.browser


# A slow machine may paint a page that is half read, and what stands left of the rest then makes room for it.
HALF_READ = 0.001
FONT = ROOT / "static/fonts/inter/inter-latin.woff2"  # once for all pages
LOOK_FOR_SHIFTS = """window.shifts = [];
new PerformanceObserver((list) => window.shifts.push(...list.getEntries()))
    .observe({ type: "layout-shift", buffered: true });"""
SHIFTS = """() => {
    const [{ domInteractive }] = performance.getEntriesByType("navigation");
    const sum = (shifts) => shifts.reduce((all, each) => all + each.value, 0);
    const early = (each) => each.startTime < domInteractive;
    return [window.shifts.filter(early), window.shifts.filter((each) => !early(each))].map(sum);
}"""


@pytest.mark.parametrize("width", [1280, 390])
def test_the_first_load_of_fifty_rows_is_small_and_shifts_nothing(
    visitor: Visitor, alice: User, web: WebServer, width: int
) -> None:
    """Nothing is cached yet, and every byte counts: pages, scripts, the worker's, pictures, headers.

    The looks after the load do not: how many there are by then depends on the machine.
    """
    datasets = [make_dataset(alice, name=name) for name in ("Evening", "Winter")]
    for number in range(50):
        make_job(
            alice, State.READY, dataset=datasets[number % 2], **(PUBLISHED | {"request_id": str(number)})
        )
    for dataset in datasets:
        url = f"/datasets/{dataset.pk}/0-end-small.webp"
        made_preview(signed_in(alice), url).close()
    proxy = Proxy(web.port)
    page = visitor(proxy.url, session_of(alice), portal=web.url, viewport={"width": width, "height": 900})
    page.add_init_script(LOOK_FOR_SHIFTS)
    page.route("**/*seen=*", lambda route: route.fulfill(status=204))
    page.goto("/")
    says(page, "Live")
    page.wait_for_load_state("load")
    assert page.locator("#job-table tbody tr").count() == 50
    assert page.locator("link[rel=stylesheet]").count() == 1
    assert proxy.carried < 100_000 + FONT.stat().st_size
    while_read, afterwards = page.evaluate(SHIFTS)
    assert afterwards == 0
    assert while_read < HALF_READ
    assert page.evaluate("document.documentElement.scrollWidth") == width
