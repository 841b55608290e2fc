"""Lines of a CSV file that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from django.http import HttpResponse
from django.utils.timezone import now

FORMULA = tuple("=+-@\t\r\n\0＝＋－＠")  # what a spreadsheet takes for a formula


def csv_line(cells: Iterable[object]) -> str:
    text = io.StringIO()
    safe = (f"'{cell}" if str(cell).startswith(FORMULA) else str(cell) for cell in cells)
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow(safe)
    return text.getvalue()


def csv_response(name: str, lines: Iterable[str]) -> HttpResponse:
    """The file, named after the day."""
    headers = {"Content-Disposition": f'attachment; filename="{name}-{now():%Y-%m-%d}.csv"'}
    return HttpResponse("".join(lines), content_type="text/csv; charset=utf-8", headers=headers)
