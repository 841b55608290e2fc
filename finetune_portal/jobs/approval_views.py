"""An admin approves or declines the cost of a job that is over a budget, from its page or from the costs."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.jobs import access, services
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.page_forms import DeclineForm
from finetune_portal.web.forms import reads_forms
from finetune_portal.web.guards import admin_only
from finetune_portal.web.http import action_messages, redirect_to


@require_POST
@admin_only
def approve(request: PortalRequest, pk: int) -> HttpResponse:
    job = access.job_to_change(request.user, pk)
    with action_messages(request, f"“{job.name}” is approved and starts now."):
        services.approve(job, actor=request.user)
    return redirect_to(request, _back_to(request, job))


@require_POST
@reads_forms(DeclineForm)
@admin_only
def decline(request: PortalRequest, pk: int) -> HttpResponse:
    job = access.job_to_change(request.user, pk)
    form = DeclineForm(request.POST)
    if not form.is_valid():
        messages.error(request, form.error_text)
        return redirect_to(request, _back_to(request, job))
    with action_messages(request, f"“{job.name}” is declined. Its owner reads why."):
        services.decline(job, reason=form.cleaned_data["reason"], actor=request.user)
    return redirect_to(request, _back_to(request, job))


def _back_to(request: PortalRequest, job: Job) -> str:
    """The page that sent the form, if it names itself; else the job's."""
    page = request.POST.get("next", "")
    is_own = page.startswith("/") and url_has_allowed_host_and_scheme(page, None)
    return page if is_own else reverse("jobs:detail", args=[job.pk])
