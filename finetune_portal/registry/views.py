"""Download model files, have them copied home, and the settings page of the copies."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.jobs import access
from finetune_portal.jobs.table.selection import selected_jobs, table_url
from finetune_portal.registry import copy_requests, model_links, overview, services
from finetune_portal.web.downloads import file_response
from finetune_portal.web.errors import ActionError, ProviderError
from finetune_portal.web.guards import admin_only, maker_only
from finetune_portal.web.http import PLAIN, action_messages, redirect_to

NOTHING_TO_COPY = "Every finished model that can be copied is here or on its way."


@require_safe
def download(request: PortalRequest, pk: int) -> HttpResponse:
    """Redirect to a fresh link to the `.safetensors` file."""
    job = access.job_to_see(request.user, pk)
    with action_messages(request):
        link = services.download_link(job, actor=request.user)
        return HttpResponse(status=303, headers={"Location": link, "Referrer-Policy": "no-referrer"})
    return redirect("jobs:detail", pk=pk)


@require_POST
def links(request: PortalRequest) -> HttpResponse:
    """A text file with a fresh link to each selected model."""
    try:
        jobs = selected_jobs(request.user, request.POST.getlist("job"))
    except ActionError as exc:
        messages.error(request, str(exc))
        return redirect(table_url(request))
    headers = {"Content-Disposition": 'attachment; filename="download-links.txt"'}
    text = services.download_links(jobs, actor=request.user)
    return HttpResponse(text, content_type=PLAIN, headers=headers)


@require_safe
@login_not_required
def signed_file(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The file of a model, for whoever has a signed link (model_links.py)."""
    user = model_links.user_of(pk, request.GET.get("signature", ""))
    if user is None:
        text = "This link is wrong or too old. Open the job in the portal and download the model again."
        return HttpResponse(text, status=403, content_type=PLAIN)
    job = access.job_to_see(user, pk)
    try:
        file = services.open_file(job)
    except ActionError as exc:
        status = 502 if isinstance(exc, ProviderError) else 410
        return HttpResponse(str(exc), status=status, content_type=PLAIN)
    return file_response(request, file, job.model_file_name)


@require_POST
@maker_only
def copy(request: PortalRequest, pk: int) -> HttpResponse:
    """Have the worker copy the model file home, or try again now."""
    job = access.job_to_see(request.user, pk)
    with action_messages(request):
        copy_requests.request_copy(job, actor=request.user)
    return redirect_to(request, reverse("jobs:detail", args=[job.pk]))


@require_safe
@admin_only
def page(request: PortalRequest) -> HttpResponse:
    return render(request, "registry/page.html", {"overview": overview.overview()})


@require_POST
@admin_only
def copy_all(request: PortalRequest) -> HttpResponse:
    """Have the worker copy home what the accounts have from before."""
    count = copy_requests.request_all(actor=request.user)
    text = f"{count:,} model{'' if count == 1 else 's'} will be copied home." if count else NOTHING_TO_COPY
    messages.success(request, text)
    return redirect_to(request, reverse("registry:page"))
