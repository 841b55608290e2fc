"""The training form, the job page, and what people do to a job. The table is in table_views.py."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from finetune_portal.datasets.library import add_url
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.services import receive_whole
from finetune_portal.jobs import access, choices, desk, services
from finetune_portal.jobs.estimate import estimate
from finetune_portal.jobs.forms import DescribeForm, JobForm
from finetune_portal.jobs.models import Job, Preset
from finetune_portal.jobs.snippets import snippets
from finetune_portal.web.guards import admin_only, maker_only
from finetune_portal.web.http import PortalRequest, go_on_to, go_to, piece_of, piece_or_redirect


@require_http_methods(["GET", "HEAD", "POST"])
@maker_only
def job_new(request: PortalRequest) -> HttpResponse:
    if request.method != "POST":
        form = JobForm(user=request.user, initial=_initial(request))
        return render(request, "jobs/new.html", _form_context(form))
    form = JobForm(request.POST, request.FILES, user=request.user)
    if not form.is_valid():
        template = "jobs/_form.html" if request.htmx else "jobs/new.html"
        return render(request, template, _form_context(form), status=422)
    dataset, file, url = (form.cleaned_data[name] for name in ("dataset", "file", "source_url"))
    if file:
        dataset = receive_whole(owner=request.user, filename=file.name, size=file.size, chunks=file.chunks())
    elif dataset is None:
        dataset = add_url(url, owner=request.user)
    trainings, form_key = form.trainings, form.cleaned_data["form_key"]
    if len(trainings) > 1 and request.POST.get("confirmed") != str(len(trainings)):
        return _ask_first(request, form, dataset, trainings)
    jobs = services.start_all(actor=request.user, dataset=dataset, form_key=form_key, trainings=trainings)
    if len(jobs) > 1:
        return go_to(request, f"{reverse('jobs:list')}?sweep={form_key}")
    return go_on_to(request, _page(jobs[0]))


def _ask_first(
    request: PortalRequest, form: JobForm, dataset: Dataset, trainings: list[dict[str, Any]]
) -> HttpResponse:
    """Several values make several paid trainings: say how many before the first is started."""
    form.data = QueryDict(f"{request.POST.urlencode()}&dataset={dataset.pk}")
    context = {**_form_context(form), "to_confirm": trainings, "dataset": dataset}
    return render(request, "jobs/_form.html" if request.htmx else "jobs/new.html", context)


@require_safe
def job_detail(request: PortalRequest, pk: int) -> HttpResponse:
    job = access.job_to_see(request.user, pk)
    return render(request, "jobs/detail.html", _job_context(request, job))


@require_safe
@piece_of("jobs:detail")
def job_state(request: PortalRequest, pk: int) -> HttpResponse:
    """All of the job page that can change by itself. 204 while it did not."""
    job = access.job_to_see(request.user, pk)
    context = _job_context(request, job)
    if request.GET.get("seen") == context["stamp"]:
        return HttpResponse(status=204)
    return render(request, "jobs/_job.html", context)


@require_POST
@maker_only
def set_public(request: PortalRequest, pk: int) -> HttpResponse:
    job = access.job_to_change(request.user, pk)
    public = request.POST.get("public") == "on"
    try:
        services.set_public(job, public=public, actor=request.user)
    except services.ActionFailed as exc:
        messages.error(request, str(exc))
    else:
        messages.success(request, f"“{job.name}” is {'public' if public else 'private'} now.")
    context = {"job": job, "may_change": True}
    return piece_or_redirect(request, "jobs/_visibility.html", context, back_to=_page(job))


@require_safe
def download(request: PortalRequest, pk: int) -> HttpResponse:
    """Hand the browser a fresh link to the `.safetensors`."""
    job = access.job_to_see(request.user, pk)
    try:
        link = services.download_link(job, actor=request.user)
    except services.ActionFailed as exc:
        messages.error(request, str(exc))
        return redirect("jobs:detail", pk=pk)
    return HttpResponse(status=303, headers={"Location": link, "Referrer-Policy": "no-referrer"})


@require_POST
@maker_only
def describe(request: PortalRequest, pk: int) -> HttpResponse:
    """Change the name, the note and the tags."""
    job = access.job_to_change(request.user, pk)
    form = DescribeForm(request.POST)
    if form.is_valid():
        desk.describe(job, actor=request.user, **form.cleaned_data)
    else:
        messages.error(request, form.sentence)
    return go_to(request, _page(job))


@require_POST
@maker_only
def withdraw(request: PortalRequest, pk: int) -> HttpResponse:
    job = access.job_to_change(request.user, pk)
    try:
        services.withdraw(job, actor=request.user)
    except services.ActionFailed as exc:
        messages.error(request, str(exc))
    return go_to(request, _page(job))


@require_POST
@admin_only
def decide(request: PortalRequest, pk: int) -> HttpResponse:
    """What an admin does about a job whose answer was lost."""
    job = access.job_to_change(request.user, pk)
    decision = request.POST.get("decision")
    if decision not in {"resend", "close"}:
        raise BadRequest("Send it again or close it? The form did not say.")
    try:
        services.decide(job, resend=decision == "resend", actor=request.user)
    except services.ActionFailed as exc:
        messages.error(request, str(exc))
    return go_to(request, _page(job))


def _page(job: Job) -> str:
    return reverse("jobs:detail", args=[job.pk])


def _initial(request: PortalRequest) -> dict[str, Any]:
    """From the vendor's sample values, or from an earlier job for “Train again with changes”."""
    first = choices.PRESETS[0]
    initial: dict[str, Any] = {"learning_rate": first.learning_rate, "steps": first.steps}
    again, dataset = request.GET.get("again", ""), request.GET.get("dataset", "")
    if again.isdecimal():
        job = access.visible(request.user).filter(pk=int(again)).first()
        if job is not None:
            names = (
                "name",
                "dataset",
                "instance_prompt",
                "learning_rate",
                "steps",
                "machine_type",
                "connection",
            )
            return {name: getattr(job, name) for name in names}
    if dataset.isdecimal():
        initial["dataset"] = int(dataset)
    return initial


def _form_context(form: JobForm) -> dict[str, Any]:
    chosen = form["dataset"].value()
    queryset = form.fields["dataset"].queryset  # type: ignore[attr-defined]
    pk = getattr(chosen, "pk", chosen)
    return {
        "form": form,
        "presets": choices.PRESETS,
        "own_presets": Preset.objects.select_related("owner"),
        "dataset": queryset.filter(pk=pk).first() if str(pk or "").isdecimal() else None,
        "max_bytes": settings.DATASET_MAX_BYTES,
    }


def _job_context(request: PortalRequest, job: Job) -> dict[str, Any]:
    events = list(job.events.select_related("actor"))
    return {
        "job": job,
        "events": events,
        "may_change": access.may_change(request.user, job),
        "stamp": f"{job.changed.timestamp():.6f}-{len(events)}-{_dataset_stamp(job)}",
        "estimate": estimate(job),
        "snippets": snippets(job, job.connection.address),
    }


def _dataset_stamp(job: Job) -> str:
    dataset = job.dataset
    return f"{dataset.leg[1]}-{dataset.state}" if dataset and not dataset.is_settled else ""
