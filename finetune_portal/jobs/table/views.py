"""The table of jobs, its saved views, the comparison and the bulk actions."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.jobs import access
from finetune_portal.jobs.models import Job, SavedView
from finetune_portal.jobs.page.comparison import Comparison
from finetune_portal.jobs.table import bulk, display, query, saved_views
from finetune_portal.jobs.table.forms import ViewForm
from finetune_portal.jobs.table.selection import MAX_SELECTED, jobs_with_keys, selected_jobs, table_url
from finetune_portal.web.errors import ActionError
from finetune_portal.web.forms import reads_forms
from finetune_portal.web.http import action_messages, fragment_of


@require_safe
def job_list(request: PortalRequest) -> HttpResponse:
    if display.opens_as_grid(request) and not request.htmx:
        return redirect(f"{reverse('jobs:list')}?{urlencode([*request.GET.items(), ('layout', 'grid')])}")
    response = render(request, "jobs/list.html", _context(request))
    display.keep_layout(request, response)
    return response


@require_safe
@fragment_of("jobs:list")
def job_table(request: PortalRequest) -> HttpResponse:
    """The table's fragment; 204 while nothing changed since the stamp in `seen`."""
    seen = request.GET.get("seen")
    if seen and seen == query.stamp():
        return HttpResponse(status=204)
    return render(request, "jobs/_table.html", _context(request))


def _context(request: PortalRequest) -> dict[str, Any]:
    return query.table_context(request.user, request.GET, display.kept(request))


@require_POST
def choose_display(request: PortalRequest) -> HttpResponse:
    """Keep how high the rows of the table are, and which columns it has, in this browser."""
    response = redirect(table_url(request))
    density, columns = request.POST.get("density", ""), request.POST.getlist("column")
    display.keep(response, display.Display.of(display.kept(request).layout, density, columns))
    return response


@require_POST
def bulk_action(request: PortalRequest) -> HttpResponse:
    """Do one thing with the selected jobs: compare, private, archive, unarchive, or ask to delete."""
    try:
        jobs = selected_jobs(request.user, request.POST.getlist("job"))
    except ActionError as exc:
        messages.error(request, str(exc))
        return redirect(table_url(request))
    action = request.POST.get("action")
    if action == "compare":
        return redirect(f"{reverse('jobs:compare')}?{urlencode([('job', job.pk) for job in jobs])}")
    if action == "delete":
        fields = [("job", job.pk) for job in jobs] + [("query", request.POST.get("query", ""))]
        return redirect(f"{reverse('deletion:jobs')}?{urlencode(fields)}")
    changeable = [job for job in jobs if access.may_change(request.user, job)]
    if len(changeable) < len(jobs):
        messages.warning(request, "Other people’s jobs were left unchanged.")
    if action == "private":
        _make_private(request, changeable)
    elif action in ("archive", "unarchive"):
        _archive(request, changeable, restore=action == "unarchive")
    else:
        raise BadRequest("The action must be compare, delete, private, archive or unarchive.")
    return redirect(table_url(request))


@require_POST
def undo_archive(request: PortalRequest) -> HttpResponse:
    """Restore the jobs that this person archived last."""
    jobs = jobs_with_keys(request.user, [str(pk) for pk in request.session.pop("archived", [])])
    _archive(request, [job for job in jobs if access.may_change(request.user, job)], restore=True)
    return redirect(table_url(request))


@require_safe
def compare(request: PortalRequest) -> HttpResponse:
    return render(request, "jobs/compare.html", {"comparison": _comparison(request)})


@require_safe
@fragment_of("jobs:compare")
def compared(request: PortalRequest) -> HttpResponse:
    """The comparison's fragment; 204 while none of its jobs changed."""
    comparison = _comparison(request)
    if request.GET.get("seen") == comparison.stamp:
        return HttpResponse(status=204)
    return render(request, "jobs/_compare.html", {"comparison": comparison})


def _comparison(request: PortalRequest) -> Comparison:
    """Compare the named jobs, or all jobs of a sweep."""
    if sweep := request.GET.get("sweep"):
        rows = access.visible(request.user).filter(query.in_sweep(sweep) or Q(pk=None))
        return Comparison(rows.order_by("-pk")[:MAX_SELECTED])
    return Comparison(jobs_with_keys(request.user, request.GET.getlist("job")))


@require_POST
@reads_forms(ViewForm)
def save_view(request: PortalRequest) -> HttpResponse:
    form = ViewForm(request.POST)
    if form.is_valid():
        view = saved_views.save_view(request.user, **form.cleaned_data)
        return redirect(f"{reverse('jobs:list')}?{view.query}")
    messages.error(request, form.error_text)
    return redirect(table_url(request))


@require_POST
@reads_forms(ViewForm)
def rename_view(request: PortalRequest, pk: int) -> HttpResponse:
    view, form = get_object_or_404(SavedView, pk=pk, owner=request.user), ViewForm(request.POST)
    if not form.is_valid():
        messages.error(request, form.error_text)
        return redirect(table_url(request))
    with action_messages(request):
        saved_views.rename_view(view, name=form.cleaned_data["name"], actor=request.user)
    return redirect(table_url(request))


@require_POST
def delete_view(request: PortalRequest, pk: int) -> HttpResponse:
    """Delete a view; the table keeps its filters."""
    saved_views.delete_view(get_object_or_404(SavedView, pk=pk, owner=request.user), actor=request.user)
    return redirect(table_url(request))


def _make_private(request: HttpRequest, jobs: list[Job]) -> None:
    count, failures = bulk.make_private(jobs, actor=request.user)  # type: ignore[arg-type]
    if count or not failures:
        messages.success(request, f"{count} made private.")
    for failure in failures[:5]:
        messages.error(request, failure)


def _archive(request: HttpRequest, jobs: list[Job], *, restore: bool) -> None:
    changed = bulk.archive(jobs, actor=request.user, restore=restore)  # type: ignore[arg-type]
    if restore:
        messages.success(request, f"{len(changed)} restored.")
    elif changed:
        request.session["archived"] = changed
        messages.success(request, f"{len(changed)} archived.", extra_tags="undo")
