"""Delete jobs, a model alone, a dataset or a project for good."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.datasets import access as datasets
from finetune_portal.deletion import services
from finetune_portal.jobs import access as jobs
from finetune_portal.jobs.table.selection import jobs_with_keys, table_url
from finetune_portal.projects import access as projects
from finetune_portal.web.guards import admin_only, maker_only
from finetune_portal.web.http import action_messages, redirect_to

NOT_THERE = "The selected jobs were deleted meanwhile, or you can no longer see them."


@require_POST
@maker_only
def delete_job(request: PortalRequest, pk: int) -> HttpResponse:
    """Delete a job, its model and all that was made of them."""
    job = jobs.job_to_change(request.user, pk)
    with action_messages(request, f"“{job.name}” was deleted. {services.what_stays([job])}".strip()):
        services.delete_job(job, actor=request.user)
        return redirect_to(request, reverse("jobs:list"))
    return redirect_to(request, reverse("jobs:detail", args=[job.pk]))


@require_http_methods(["GET", "HEAD", "POST"])
@maker_only
def delete_jobs(request: PortalRequest) -> HttpResponse:
    """Delete the selected jobs of the table, after a page that says what goes, what stays and what cannot."""
    keys = (request.POST or request.GET).getlist("job")
    rows = list(jobs_with_keys(request.user, keys).select_related("connection").order_by("-pk"))
    back_to = table_url(request)
    if not rows:
        messages.error(request, NOT_THERE if keys else "Select one or more jobs first.")
        return redirect(back_to)
    if request.method == "POST":
        deleted, failures = services.delete_jobs(rows, actor=request.user)
        if deleted:
            text = f"{len(deleted)} job{'s' * (len(deleted) > 1)} deleted. {services.what_stays(deleted)}"
            messages.success(request, text.strip())
        for failure in failures:
            messages.error(request, failure)
        return redirect(back_to)
    refused = services.why_not(rows, actor=request.user)
    going = [job for job in rows if job.pk not in refused]
    context = {
        "going": going,
        "refused": list(refused.values()),
        "stays": services.what_stays(going),
        "are_public": services.are_public(going),
        "datasets_going": services.datasets_gone_with(going),
    }
    return render(request, "deletion/jobs.html", {**context, "back_to": back_to})


@require_POST
@maker_only
def delete_model(request: PortalRequest, pk: int) -> HttpResponse:
    """Delete the model of a job. The job stays, and its page says what the provider keeps."""
    job = jobs.job_to_change(request.user, pk)
    with action_messages(request, f"The model of “{job.name}” was deleted."):
        services.delete_model(job, actor=request.user)
    return redirect_to(request, reverse("jobs:detail", args=[job.pk]))


@require_POST
@maker_only
def delete_dataset(request: PortalRequest, pk: int) -> HttpResponse:
    """Delete a dataset, its jobs and all that was made of them."""
    dataset = datasets.dataset_to_delete(request.user, pk)
    stays = services.what_stays(dataset.jobs.select_related("connection"))
    with action_messages(request, f"“{dataset.label}” was deleted. {stays}".strip()):
        services.delete_dataset(dataset, actor=request.user)
        return redirect_to(request, reverse("datasets:list"))
    return redirect_to(request, reverse("datasets:detail", args=[dataset.pk]))


@require_POST
@admin_only
def delete_project(request: PortalRequest, pk: int) -> HttpResponse:
    """Delete a project, its jobs, its datasets and all that was made of them."""
    project = projects.project_to_see(request.user, pk)
    stays = services.what_stays(project.jobs.select_related("connection"))
    with action_messages(request, f"“{project}” was deleted. {stays}".strip()):
        services.delete_project(project, actor=request.user)
        return redirect_to(request, reverse("projects:list"))
    return redirect_to(request, reverse("projects:detail", args=[project.pk]))
