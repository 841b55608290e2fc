"""How the table shows its jobs: as rows, or as a grid of their results.

The address says which. An address that says nothing opens as the person chose last in this browser.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from finetune_portal.web import browser_choices

LAYOUTS = {"table": "Table", "grid": "Grid"}


def layout_of(params: Mapping[str, str]) -> str:
    """`params` is the query string."""
    return "grid" if params.get("layout") == "grid" else "table"


def opens_as_grid(request: HttpRequest) -> bool:
    """Whether to lead to the grid, where the address of a page names no layout."""
    chosen = request.COOKIES.get(settings.LAYOUT_COOKIE_NAME)
    return chosen == "grid" and "layout" not in request.GET


def keep_layout(response: HttpResponse, layout: str) -> None:
    """Keep the layout that an address names, if it names one."""
    if layout in LAYOUTS:
        browser_choices.keep(response, settings.LAYOUT_COOKIE_NAME, layout)
