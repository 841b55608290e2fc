"""How the table shows its jobs: as rows, how high and with which columns, or as a grid of their results.

The address says which layout a page has. One that says nothing opens as the person chose last in this
browser, which keeps the rest, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from finetune_portal.web import browser_choices

LAYOUTS = {"table": "Table", "grid": "Grid"}
DENSITIES = {"comfortable": "Comfortable", "compact": "Compact, one line a job"}
COLUMNS = {
    "details": "Details below the name",
    "steps": "Steps",
    "learning_rate": "Learning rate",
    "started": "Started",
    "visibility": "Visibility",
}


@dataclass(frozen=True)
class Display:
    """What a browser keeps of it. `columns` are those that are shown beside name, state and actions."""

    layout: str = "table"
    density: str = "comfortable"
    columns: tuple[str, ...] = ("details", "started", "visibility")

    @classmethod
    def of(cls, layout: str, density: str, columns: Iterable[str]) -> Display:
        """Leave out what is not known."""
        return cls(
            layout if layout in LAYOUTS else cls.layout,
            density if density in DENSITIES else cls.density,
            tuple(name for name in COLUMNS if name in columns),
        )


def layout_of(params: Mapping[str, str]) -> str:
    """`params` is the query string."""
    return "grid" if params.get("layout") == "grid" else "table"


def kept(request: HttpRequest) -> Display:
    parts = request.COOKIES.get(settings.TABLE_COOKIE_NAME, "").split(":")
    return Display.of(parts[0], parts[1], parts[2].split(".")) if len(parts) == 3 else Display()


def keep(response: HttpResponse, display: Display) -> None:
    value = f"{display.layout}:{display.density}:{'.'.join(display.columns)}"
    browser_choices.keep(response, settings.TABLE_COOKIE_NAME, value)


def opens_as_grid(request: HttpRequest) -> bool:
    """Whether to lead to the grid, where the address of a page names no layout."""
    return kept(request).layout == "grid" and "layout" not in request.GET


def keep_layout(request: HttpRequest, response: HttpResponse) -> None:
    """Keep the layout that the address names, if it names one."""
    layout = request.GET.get("layout")
    if layout in LAYOUTS:
        keep(response, replace(kept(request), layout=layout))
