"""The history behind the bell: a page of it, the latest of it, and how much of it is unread."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.notifications import access, history
from finetune_portal.web.http import fragment_of
from finetune_portal.web.keys import parse_key
from finetune_portal.web.paging import page_of

LATEST = 8  # in the menu of the bell
THINGS = ("job", "connection", "budget__person", "budget__connection", "budget__project")


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: PortalRequest) -> HttpResponse:
    """Show the history by GET. A POST marks it as read: for htmx the latest alone, which it answers."""
    rows = access.history(request.user).select_related(*THINGS)
    if request.method == "POST" and request.htmx:
        entries = list(rows.order_by("-pk")[:LATEST])
        history.mark_read(rows.filter(pk__in=[entry.pk for entry in entries]))
        return render(request, "notifications/_latest.html", {"entries": entries})
    if request.method == "POST":
        history.mark_read(rows.filter(pk__lte=parse_key(request.POST.get("newest", "")) or 0))
        return redirect("notifications:history")
    shown = page_of(rows, before=request.GET.get("before", ""), after=request.GET.get("after", ""))
    context = {"page": shown, "newest": shown.rows[0].pk if shown.rows else 0}
    context["has_unread"] = any(entry.read_at is None for entry in shown.rows)
    return render(request, "notifications/history.html", context)


@require_safe
@fragment_of("notifications:history")
def unread(request: PortalRequest) -> HttpResponse:
    return render(request, "notifications/_unread.html")
