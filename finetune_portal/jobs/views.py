"""The job page and the actions on it. The table is in table/views.py, the form in form_views.py."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST, require_safe

from finetune_portal.accounts import reauthentication
from finetune_portal.accounts.http import PortalRequest
from finetune_portal.datasets import previews
from finetune_portal.datasets.preview_images import preview_response
from finetune_portal.jobs import access, placement, services
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.page.context import job_context
from finetune_portal.jobs.page_forms import ConnectionForm, DescribeForm
from finetune_portal.jobs.sync import progress, samples
from finetune_portal.projects.access import is_widened
from finetune_portal.projects.forms import MoveForm
from finetune_portal.web.forms import reads_forms
from finetune_portal.web.guards import admin_only, maker_only
from finetune_portal.web.http import (
    action_messages,
    fragment_of,
    fragment_or_redirect,
    redirect_to,
)


@require_safe
def job_detail(request: PortalRequest, pk: int) -> HttpResponse:
    job = access.job_to_see(request.user, pk)
    return render(request, "jobs/detail.html", job_context(request.user, job))


@require_safe
@fragment_of("jobs:detail")
def job_state(request: PortalRequest, pk: int) -> HttpResponse:
    """The part of the job page that changes by itself; 204 while nothing changed."""
    job = access.job_to_see(request.user, pk)
    context = job_context(request.user, job)
    if request.GET.get("seen") == context["stamp"]:
        return HttpResponse(status=204)
    return render(request, "jobs/_job.html", context)


@require_POST
@maker_only
def set_public(request: PortalRequest, pk: int) -> HttpResponse:
    job = access.job_to_change(request.user, pk)
    public = request.POST.get("public") == "on"
    with action_messages(request, f"“{job.name}” is {'public' if public else 'private'} now."):
        services.set_public(job, public=public, actor=request.user)
    context = {"job": job, "may_change": True}
    return fragment_or_redirect(request, "jobs/_visibility.html", context, back_to=_page(job))


@require_POST
@maker_only
def set_best(request: PortalRequest, pk: int) -> HttpResponse:
    job = access.job_to_change(request.user, pk)
    with action_messages(request):
        services.set_best(job, best=request.POST.get("best") == "on", actor=request.user)
    context = {"job": job, "may_change": True}
    return fragment_or_redirect(request, "jobs/_best.html", context, back_to=_page(job))


@require_POST
@reads_forms(DescribeForm)
@maker_only
def describe(request: PortalRequest, pk: int) -> HttpResponse:
    """Change the name, the note and the tags."""
    job = access.job_to_change(request.user, pk)
    form = DescribeForm(request.POST)
    if form.is_valid():
        with action_messages(request):
            services.describe(job, actor=request.user, **form.cleaned_data)
    else:
        messages.error(request, form.error_text)
    return redirect_to(request, _page(job))


@require_POST
@maker_only
def withdraw(request: PortalRequest, pk: int) -> HttpResponse:
    job = access.job_to_change(request.user, pk)
    with action_messages(request):
        services.withdraw(job, actor=request.user)
    return _stopped(request, job)


@require_POST
@maker_only
def change_connection(request: PortalRequest, pk: int) -> HttpResponse:
    """Send a job that waits for a closed provider by another connection."""
    job = access.job_to_change(request.user, pk)
    form = ConnectionForm(request.POST, job=job)
    if not form.is_valid():
        messages.error(request, form.error_text)
        return redirect_to(request, _page(job))
    connection = form.cleaned_data["connection"]
    with action_messages(request, f"“{job.name}” goes to “{connection}”."):
        services.change_connection(job, connection, actor=request.user)
    return redirect_to(request, _page(job))


@require_POST
@reads_forms(MoveForm)
@maker_only
def move(request: PortalRequest, pk: int) -> HttpResponse:
    """Move the job to another project, with its model and runs."""
    job = access.job_to_change(request.user, pk)
    form = MoveForm(request.POST, user=request.user)
    if not form.is_valid():
        messages.error(request, form.error_text)
        return redirect_to(request, _page(job))
    project = form.cleaned_data["project"]
    if is_widened(job.project, project) and (question := reauthentication.ask(request)):
        return question
    with action_messages(request):
        placement.move(job, project, actor=request.user)
    return redirect_to(request, _page(job))


@require_POST
@maker_only
def cancel(request: PortalRequest, pk: int) -> HttpResponse:
    """Have the worker cancel the job at its provider, for good."""
    job = access.job_to_change(request.user, pk)
    with action_messages(request):
        progress.cancel(job, actor=request.user)
    return _stopped(request, job)


@require_safe
@cache_control(private=True, max_age=86_400, immutable=True)
def sample(request: PortalRequest, pk: int, sample: str) -> FileResponse:
    """A sample image of the training: `control`, `target`, or the number of a step."""
    job = access.job_to_see(request.user, pk)
    if job.model_deleted_at or not samples.exists(job.pk, sample):  # the worker deletes the file later
        raise Http404
    return FileResponse(samples.path(job.pk, sample).open("rb"), content_type="image/png")


@require_safe
def sample_preview(request: PortalRequest, pk: int, sample: str, edge: str) -> HttpResponseBase:
    """The same as a WebP, small or large."""
    job = access.job_to_see(request.user, pk)
    if job.model_deleted_at or edge not in previews.EDGES:
        raise Http404
    preview = samples.preview_path(job.pk, sample, edge)
    return preview_response(preview, lambda: samples.request_preview(job.pk, sample, edge))


@require_POST
@admin_only
def decide(request: PortalRequest, pk: int) -> HttpResponse:
    """An admin settles a job whose answer was lost: send it again or close it."""
    job = access.job_to_change(request.user, pk)
    decision = request.POST.get("decision")
    if decision not in {"resend", "close"}:
        raise BadRequest("The decision must be resend or close.")
    with action_messages(request):
        services.decide(job, resend=decision == "resend", actor=request.user)
    return redirect_to(request, _page(job))


def _stopped(request: PortalRequest, job: Job) -> HttpResponse:
    """Answer a row of the table with the button as it is now, and the job's page with that page."""
    if not request.htmx or not access.is_there(job):
        return redirect_to(request, _page(job))
    context = {"job": access.job_to_see(request.user, job.pk), "may_change": True}
    return render(request, "jobs/_stop.html", context)


def _page(job: Job) -> str:
    """Its page, or the table where somebody deleted it meanwhile."""
    return reverse("jobs:detail", args=[job.pk]) if access.is_there(job) else reverse("jobs:list")
