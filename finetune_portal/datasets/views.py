"""Pages and actions of the library and of one dataset, and the pictures of its pairs."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import reswap, retarget, trigger_client_event

from finetune_portal.accounts import reauthentication
from finetune_portal.accounts.http import PortalRequest
from finetune_portal.datasets import (
    access,
    cards,
    checker,
    library,
    previews,
    retention,
    sample,
    services,
    transfer,
    versions,
)
from finetune_portal.datasets.forms import CaptionsForm, CodePageForm, NameForm, RepairForm, UrlForm
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.preview_images import preview_response
from finetune_portal.projects.access import is_widened
from finetune_portal.projects.forms import MoveForm
from finetune_portal.web.forms import reads_forms
from finetune_portal.web.guards import maker_only
from finetune_portal.web.http import PLAIN, action_messages, fragment_of, htmx_page_path, redirect_to
from finetune_portal.web.paging import page_of

JOBS_SHOWN = 20
UNFINISHED_SHOWN = 20


@require_safe
def dataset_list(request: PortalRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    page = page_of(
        access.library(request.user, query),
        before=request.GET.get("before", ""),
        after=request.GET.get("after", ""),
        size=24,
    )
    unfinished = access.unfinished(request.user)[:UNFINISHED_SHOWN]
    context = {
        "page": page,
        "cards": cards.of(request.user, page.rows),
        "query": query,
        "storage": retention.storage(access.visible(request.user)),
        "unfinished": unfinished,
    }
    return render(request, "datasets/list.html", context)


@require_safe
def dataset_detail(request: PortalRequest, pk: int) -> HttpResponse:
    return render(request, "datasets/detail.html", _detail_context(request, pk))


@require_safe
@fragment_of("datasets:detail")
def dataset_status(request: PortalRequest, pk: int) -> HttpResponse:
    """Progress of upload, check and transfer; the fragment polls until the dataset is settled."""
    dataset = access.dataset_to_see(request.user, pk)
    if dataset.is_rejected and not dataset.needs_repair and dataset.source_url and _is_on_form(request):
        answer = render(request, "datasets/_refused_url.html", {"dataset": dataset})
        return trigger_client_event(answer, "dataset-refused", {"id": dataset.pk})
    duplicate = access.duplicate_of(request.user, dataset)
    answer = _status(request, dataset, duplicate=duplicate)
    is_usable = dataset.is_settled and not dataset.is_rejected
    return trigger_client_event(answer, "dataset-settled") if is_usable else answer


@require_safe
@fragment_of("datasets:list")
def duplicate(request: PortalRequest) -> HttpResponse:
    """Offer the dataset with this SHA-256 in place of a second upload."""
    dataset = access.with_sha256(request.user, request.GET.get("sha256", "")).first()
    if dataset is None:
        return HttpResponse(status=204)
    return render(request, "datasets/_duplicate.html", {"dataset": dataset})


@require_POST
@maker_only
def code_page(request: PortalRequest) -> HttpResponse:
    """Guess the code page of names or captions that a script is about to send. Changes nothing."""
    form = CodePageForm(request.POST)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=422)
    return JsonResponse(checker.code_page(form.cleaned_data["kind"], form.cleaned_data["samples"]))


@require_safe
def picture(request: PortalRequest, pk: int, number: int, place: str, edge: str) -> HttpResponseBase:
    """One picture of a pair as a small WebP; a placeholder where there is none. `number` counts from 0."""
    dataset = access.dataset_to_see(request.user, pk)
    shown = _pair(dataset, number)
    if edge not in previews.EDGES or place not in shown:
        raise Http404
    size = previews.size_of(shown, place, edge)
    path = previews.path_of(dataset, number, place, edge)
    if not path.exists():
        previews.rename_earlier(dataset, number, place, edge)
    return preview_response(path, lambda: previews.request(dataset, number, edge), size)


@require_safe
def pair(request: PortalRequest, pk: int, number: int) -> HttpResponse:
    """One pair, large, with a before/after slider. `number` counts the pairs from 0."""
    dataset = access.dataset_to_see(request.user, pk)
    shown = _pair(dataset, number)
    previews.request_large(dataset, number)
    context = {
        "dataset": dataset,
        "pair": shown,
        "number": number,
        "before": number - 1 if number else None,
        "after": number + 1 if number + 1 < len(dataset.pairs) else None,
    }
    return render(request, "datasets/pair.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@reads_forms(CaptionsForm)
@maker_only
def captions(request: PortalRequest, pk: int) -> HttpResponse:
    """Edit the captions pair by pair, or set one for all; saving makes a new version."""
    dataset = access.dataset_to_see(request.user, pk)
    if not dataset.has_file or not dataset.pairs:
        messages.error(request, "The captions cannot be edited: the portal does not have the file.")
        return redirect("datasets:detail", pk=pk)
    form = CaptionsForm(request.POST or None, dataset=dataset)
    if request.method == "POST" and form.is_valid():
        if not form.changes:
            messages.info(request, "No caption was changed.")
            return redirect("datasets:detail", pk=pk)
        version = versions.with_captions(dataset, form.changes, actor=request.user)
        return redirect("datasets:detail", pk=version.pk)
    status = 422 if request.method == "POST" else 200
    return render(request, "datasets/captions.html", {"dataset": dataset, "form": form}, status=status)


@require_POST
@reads_forms(RepairForm)
@maker_only
def repair(request: PortalRequest, pk: int) -> HttpResponse:
    dataset = access.dataset_to_see(request.user, pk)
    if not dataset.has_file or not dataset.repairs:
        messages.error(request, "This dataset has nothing that the portal can repair.")
        return redirect_to(request, _page(dataset))
    form = RepairForm(request.POST, dataset=dataset)
    if not form.is_valid():
        context = {**_detail_context(request, pk), "repair_form": form}
        template = "datasets/_status.html" if request.htmx else "datasets/detail.html"
        return render(request, template, {**context, "is_on_form": _is_on_form(request)}, status=422)
    version = versions.repaired(
        dataset,
        actor=request.user,
        is_swapped=form.is_swapped,
        words=form.words,
        code_page=form.code_page,
        caption_page=form.caption_page,
    )
    return _chosen(request, version) if _is_on_form(request) else redirect_to(request, _page(version))


@require_POST
@maker_only
def add_url(request: PortalRequest) -> HttpResponse:
    """Add a ZIP at a public address; the response is the status fragment, which follows the check."""
    form = UrlForm(request.POST)
    if not form.is_valid():
        answer = HttpResponse(form.sentence, status=422, content_type=PLAIN)
        return reswap(retarget(answer, "#id_source_url_error"), "innerHTML")
    dataset = library.add_url(form.cleaned_data["source_url"], owner=request.user)
    return _chosen(request, dataset) if request.htmx else redirect_to(request, _page(dataset))


@require_POST
@reads_forms(NameForm)
@maker_only
def rename(request: PortalRequest, pk: int) -> HttpResponse:
    dataset = access.dataset_to_change(request.user, pk)
    form = NameForm(request.POST)
    if form.is_valid():
        with action_messages(request):
            library.rename(dataset, form.cleaned_data["name"], actor=request.user)
        return redirect_to(request, _page(dataset))
    context = {**_detail_context(request, pk), "name_form": form}
    return render(request, "datasets/detail.html", context, status=422)


@require_POST
@reads_forms(MoveForm)
@maker_only
def move(request: PortalRequest, pk: int) -> HttpResponse:
    """Move it to another project, with all its versions."""
    dataset = access.dataset_to_change(request.user, pk)
    form = MoveForm(request.POST, user=request.user)
    if not form.is_valid():
        messages.error(request, form.error_text)
        return redirect_to(request, _page(dataset))
    project = form.cleaned_data["project"]
    if is_widened(dataset.project, project) and (question := reauthentication.ask(request)):
        return question
    with action_messages(request):
        library.move(dataset, project, actor=request.user)
    return redirect_to(request, _page(dataset))


@require_POST
@maker_only
def delete(request: PortalRequest, pk: int) -> HttpResponse:
    dataset = access.dataset_to_change(request.user, pk)
    with action_messages(request, f"“{dataset.label}” was deleted."):
        library.delete(dataset, actor=request.user)
        return redirect_to(request, reverse("datasets:list"))
    return redirect_to(request, _page(dataset))


@require_POST
@maker_only
def transfer_again(request: PortalRequest, pk: int) -> HttpResponse:
    """Transfer the file to a fresh presigned URL."""
    dataset = access.dataset_to_see(request.user, pk)
    with action_messages(request):
        transfer.transfer_again(dataset, actor=request.user)
    return redirect_to(request, _page(dataset))


@require_safe
def sample_dataset(request: PortalRequest) -> HttpResponse:
    """The sample dataset, for a first training."""
    headers = {"Content-Disposition": 'attachment; filename="sample-dataset.zip"'}
    return HttpResponse(sample.make(), content_type="application/zip", headers=headers)


@require_POST
@maker_only
def add_sample(request: PortalRequest) -> HttpResponse:
    """Put the sample dataset into the library and open the form of a new job with it."""
    dataset = services.add_sample(owner=request.user)
    return redirect_to(request, f"{reverse('jobs:new')}?dataset={dataset.pk}")


def _chosen(request: PortalRequest, dataset: Dataset) -> HttpResponse:
    """The status fragment, with the event that selects this dataset in the form of a new job."""
    answer = _status(request, dataset)
    return trigger_client_event(answer, "dataset-chosen", {"id": dataset.pk, "name": dataset.label})


def _status(request: PortalRequest, dataset: Dataset, **context: Any) -> HttpResponse:
    context |= {"dataset": dataset, "is_on_form": _is_on_form(request)}
    return render(request, "datasets/_status.html", context)


def _is_on_form(request: PortalRequest) -> bool:
    return htmx_page_path(request).startswith(reverse("jobs:new"))


def _pair(dataset: Dataset, number: int) -> dict[str, Any]:
    if number >= len(dataset.pairs):
        raise Http404
    return dataset.pairs[number]


def _page(dataset: Dataset) -> str:
    """Its page, or the library where somebody deleted it meanwhile."""
    return (
        reverse("datasets:detail", args=[dataset.pk])
        if access.is_there(dataset)
        else reverse("datasets:list")
    )


def _detail_context(request: PortalRequest, pk: int) -> dict[str, Any]:
    dataset = access.dataset_to_see(request.user, pk)
    jobs = access.jobs_of(request.user, dataset)
    return {
        "dataset": dataset,
        "jobs": jobs[:JOBS_SHOWN],
        "more_jobs": max(0, jobs.count() - JOBS_SHOWN),
        "versions": versions.with_origins(access.versions(request.user, dataset)),
        "origin": versions.with_origins([dataset])[0][1],
        "duplicate": access.duplicate_of(request.user, dataset),
        "may_change": access.may_change(request.user, dataset),
        "may_delete": access.may_delete(request.user, dataset),
        "made_of": access.made_of(request.user, dataset),
        "may_resume": access.may_resume(request.user, dataset),
        "max_bytes": settings.DATASET_MAX_BYTES,
        "name_form": NameForm({"name": dataset.name}),
        "move_form": MoveForm(initial={"project": dataset.project_id}, user=request.user),
    }
