"""The live table, and what people do to many jobs at once."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.jobs import access
from finetune_portal.jobs.models import Job, SavedView
from finetune_portal.jobs.page.comparison import Comparison
from finetune_portal.jobs.table import bulk, query, saved_views
from finetune_portal.jobs.table.forms import ViewForm
from finetune_portal.web.http import PLAIN, fragment_of

MOST_AT_ONCE = 50


@require_safe
def job_list(request: PortalRequest) -> HttpResponse:
    return render(request, "jobs/list.html", query.context(request.user, request.GET))


@require_safe
@fragment_of("jobs:list")
def job_table(request: PortalRequest) -> HttpResponse:
    """The table's piece. 204 while nothing changed since the stamp that the asker saw."""
    seen = request.GET.get("seen")
    if seen and seen == query.stamp():
        return HttpResponse(status=204)
    return render(request, "jobs/_table.html", query.context(request.user, request.GET))


@require_POST
def bulk_action(request: PortalRequest) -> HttpResponse:
    """Do one thing to the ticked jobs: compare, links, private or archive."""
    jobs = _ticked(request, request.POST.getlist("job"))
    if not jobs:
        messages.error(request, "Tick the jobs first.")
        return redirect(_back(request))
    action = request.POST.get("action")
    if action == "compare":
        return redirect(f"{reverse('jobs:compare')}?{urlencode([('job', job.pk) for job in jobs])}")
    if action == "links":
        headers = {"Content-Disposition": 'attachment; filename="download-links.txt"'}
        text = bulk.links(jobs, actor=request.user)
        return HttpResponse(text, content_type=PLAIN, headers=headers)
    changeable = [job for job in jobs if access.may_change(request.user, job)]
    if len(changeable) < len(jobs):
        messages.warning(request, "Jobs of others were left as they are.")
    if action == "private":
        _make_private(request, changeable)
    elif action in ("archive", "unarchive"):
        _archive(request, changeable, back=action == "unarchive")
    else:
        raise BadRequest("The action must be compare, links, private, archive or unarchive.")
    return redirect(_back(request))


@require_POST
def undo_archive(request: PortalRequest) -> HttpResponse:
    """Bring back what this person archived last."""
    jobs = _ticked(request, [str(pk) for pk in request.session.pop("archived", [])])
    _archive(request, [job for job in jobs if access.may_change(request.user, job)], back=True)
    return redirect(_back(request))


@require_safe
def compare(request: PortalRequest) -> HttpResponse:
    return render(request, "jobs/compare.html", {"comparison": _comparison(request)})


@require_safe
@fragment_of("jobs:compare")
def compared(request: PortalRequest) -> HttpResponse:
    """The comparison's piece. 204 while none of its jobs changed."""
    comparison = _comparison(request)
    if request.GET.get("seen") == comparison.stamp:
        return HttpResponse(status=204)
    return render(request, "jobs/_compare.html", {"comparison": comparison})


def _comparison(request: PortalRequest) -> Comparison:
    """Of the named jobs, or of a whole sweep."""
    if sweep := request.GET.get("sweep"):
        siblings = access.visible(request.user).filter(query.of_sweep(sweep) or Q(pk=None))
        return Comparison(siblings.order_by("-pk")[:MOST_AT_ONCE])
    return Comparison(_named(request, request.GET.getlist("job")))


@require_POST
def keep_view(request: PortalRequest) -> HttpResponse:
    form = ViewForm(request.POST)
    if form.is_valid():
        view = saved_views.keep_view(request.user, **form.cleaned_data)
        return redirect(f"{reverse('jobs:list')}?{view.query}")
    messages.error(request, form.error_text)
    return redirect(_back(request))


@require_POST
def drop_view(request: PortalRequest, pk: int) -> HttpResponse:
    saved_views.drop_view(get_object_or_404(SavedView, pk=pk, owner=request.user), actor=request.user)
    return redirect("jobs:list")


def _ticked(request: PortalRequest, keys: list[str]) -> list[Job]:
    return list(_named(request, keys).order_by("-pk"))


def _named(request: PortalRequest, keys: list[str]) -> QuerySet[Job]:
    numbers = [int(key) for key in keys if key.isdecimal() and len(key) < 19][:MOST_AT_ONCE]
    return access.visible(request.user).filter(pk__in=numbers)


def _make_private(request: HttpRequest, jobs: list[Job]) -> None:
    done, troubles = bulk.make_private(jobs, actor=request.user)  # type: ignore[arg-type]
    if done or not troubles:
        messages.success(request, f"{done} made private.")
    for trouble in troubles[:5]:
        messages.error(request, trouble)


def _archive(request: HttpRequest, jobs: list[Job], *, back: bool) -> None:
    moved = bulk.archive(jobs, actor=request.user, back=back)  # type: ignore[arg-type]
    if back:
        messages.success(request, f"{len(moved)} back in the table.")
    elif moved:
        request.session["archived"] = moved
        messages.success(request, f"{len(moved)} archived.", extra_tags="undo")


def _back(request: HttpRequest) -> str:
    """The table as it was filtered."""
    return f"{reverse('jobs:list')}?{QueryDict(request.POST.get('query', '')).urlencode()}"
