"""The settings page of the limits on paid jobs."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.accounts.reauthentication import recent_sign_in_required
from finetune_portal.jobs import limits
from finetune_portal.jobs.forms import LimitsForm
from finetune_portal.web.guards import admin_only


@require_http_methods(["GET", "HEAD", "POST"])
@admin_only
@recent_sign_in_required
def page(request: PortalRequest) -> HttpResponse:
    form = LimitsForm(request.POST or None, instance=limits.current())
    if request.method == "POST" and form.is_valid():
        limits.change(actor=request.user, **form.cleaned_data)
        messages.success(request, "Saved the limits.")
        return redirect("jobs:limits")
    context = {"form": form, "left": limits.remaining(request.user)}
    return render(request, "jobs/limits.html", context, status=422 if form.is_bound else 200)
