"""The playground: generations of one job, the comparison of several jobs, and the pictures."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.datasets.preview_images import preview_response
from finetune_portal.jobs import access as job_access
from finetune_portal.jobs.models import Job
from finetune_portal.playground import access, input_choices, inputs, panel, results, services
from finetune_portal.playground.forms import GenerationForm
from finetune_portal.playground.models import Generation, Input
from finetune_portal.web.errors import ActionError
from finetune_portal.web.forms import reads_forms
from finetune_portal.web.guards import maker_only, says_busy, takes_file
from finetune_portal.web.http import action_messages

takes_picture = takes_file(lambda: 4 * inputs.MAX_BYTES)  # the form says how much a larger one may have


@takes_picture
@reads_forms(GenerationForm)
@require_http_methods(["GET", "HEAD", "POST"])
def job_panel(request: PortalRequest, pk: int) -> HttpResponse:
    """The playground of one job, as a fragment or as a page. POST runs the model."""
    job = job_access.job_to_see(request.user, pk)
    if request.method == "POST":
        return _run(request, job)
    return _panel(request, job, confirmed="confirmed" in request.GET)


@maker_only
@says_busy
def _run(request: PortalRequest, job: Job) -> HttpResponse:
    form = _bound_form(request, [job])
    if _start(request, form, [job]):
        return _done(request, job, seed=form.data.get("seed", ""))
    return _panel(request, job, form, confirmed=True)


@require_POST
@maker_only
def without_lora(request: PortalRequest, pk: int) -> HttpResponse:
    """Run the base model with the same seed, for comparison."""
    generation = access.generation_to_see(request.user, pk)
    with action_messages(request):
        services.without_lora(generation, actor=request.user)
    return _done(request, generation.job, generation)


@require_POST
@maker_only
def run_again(request: PortalRequest, pk: int) -> HttpResponse:
    generation = access.generation_to_change(request.user, pk)
    with action_messages(request):
        services.run_again(generation, actor=request.user)
    return _done(request, generation.job, generation.compare_to or generation)


@require_POST
@maker_only
def delete(request: PortalRequest, pk: int) -> HttpResponse:
    generation = access.generation_to_change(request.user, pk)
    services.delete(generation, actor=request.user)
    return _done(request, generation.job, generation.compare_to)


@require_safe
def generation(request: PortalRequest, pk: int) -> HttpResponse:
    """One generation; its fragment polls until it is finished. 204 if nothing changed."""
    shown = access.generation_to_see(request.user, pk)
    if not request.htmx:
        return redirect(_page(shown.job, shown))
    if request.GET.get("seen") == shown.stamp:
        return HttpResponse(status=204)
    context, confirmed = {"generation": shown, "announce": True}, "confirmed" in request.GET
    if request.GET.get("as") == "column":
        return render(request, "playground/_column.html", context)
    context |= panel.stage(request.user, shown, confirmed=confirmed)
    return render(request, "playground/_generation.html", context)


@takes_picture
@reads_forms(GenerationForm)
@require_http_methods(["GET", "HEAD", "POST"])
def compare(request: PortalRequest) -> HttpResponse:
    """One picture by several jobs and the base model. POST runs them all."""
    if request.method == "POST":
        return _run_all(request)
    return _comparison(request, panel.jobs_named(request.user, request.GET.getlist("job")))


@maker_only
@says_busy
def _run_all(request: PortalRequest) -> HttpResponse:
    jobs = panel.jobs_named(request.user, request.POST.getlist("job"))
    runnable = [job for job in jobs if access.can_run(job)]
    form = _bound_form(request, runnable)
    if runnable and _start(request, form, runnable, with_base=True):
        query = [("run", form.cleaned_data["form_key"]), *(("job", job.pk) for job in runnable)]
        return redirect(f"{reverse('playground:compare')}?{urlencode(query)}#playground")
    return _comparison(request, jobs, form)


@require_safe
def picture(request: PortalRequest, pk: int, edge: str) -> HttpResponseBase:
    """The result of a generation, as a small WebP."""
    return _preview(access.generation_to_see(request.user, pk), edge)


@require_safe
def input_picture(request: PortalRequest, pk: int, edge: str) -> HttpResponseBase:
    return _preview(access.input_to_see(request.user, pk), edge)


@require_safe
def result(request: PortalRequest, pk: int) -> FileResponse:
    """The result as the provider sent it."""
    generation = access.generation_to_see(request.user, pk)
    if not generation.is_done or not generation.path.exists():
        raise Http404
    name = f"{generation.job.name} {generation.seed}.{generation.kind}"
    return FileResponse(generation.path.open("rb"), as_attachment=True, filename=name)


def _bound_form(request: PortalRequest, jobs: list[Job]) -> GenerationForm:
    kept = access.input_named(request.user, request.POST.get("picture", ""), jobs)
    offered = input_choices.offered(jobs, keep=kept)
    return GenerationForm(request.POST, request.FILES, offered=offered, jobs=jobs)


def _start(request: PortalRequest, form: GenerationForm, jobs: list[Job], with_base: bool = False) -> bool:
    if not form.is_valid():
        return False
    order = {"jobs": jobs, "with_base": with_base, "form_key": form.cleaned_data["form_key"], **form.settings}
    try:
        services.check(actor=request.user, **order)  # before a picture is decoded in vain
        image = form.make_input(request.user)
        if image is None:
            return False
        services.run(actor=request.user, image=image, **order)
    except ActionError as exc:
        messages.error(request, str(exc))
        return False
    return True


def _panel(
    request: PortalRequest, job: Job, form: GenerationForm | None = None, **options: bool
) -> HttpResponse:
    context = panel.context(request.user, job, request.GET, form=form, **options)
    template = "playground/_panel.html" if request.htmx else "playground/page.html"
    return render(request, template, context, status=422 if form else 200)


def _comparison(request: PortalRequest, jobs: list[Job], form: GenerationForm | None = None) -> HttpResponse:
    context = panel.comparison(request.user, request.GET, jobs, form)
    return render(request, "playground/compare.html", context, status=422 if form else 200)


def _done(
    request: PortalRequest, job: Job, shown: Generation | None = None, *, seed: str = ""
) -> HttpResponse:
    """A seed that the person entered stays in the form; a random one does not."""
    if not request.htmx:
        return redirect(_page(job, shown))
    params = {"generation": str(shown.pk) if shown else "", "seed": seed}
    context = panel.context(request.user, job, params, confirmed=True)
    return render(request, "playground/_panel.html", context)


def _page(job: Job, shown: Generation | None) -> str:
    query = f"?generation={shown.pk}" if shown else ""
    return f"{reverse('jobs:detail', args=[job.pk])}{query}#playground"


def _preview(source: Generation | Input, edge: str) -> HttpResponseBase:
    if edge not in results.EDGES:
        raise Http404
    size = (results.EDGES[edge], results.EDGES[edge])
    path = results.preview_path(source, edge)
    return preview_response(path, lambda: results.request_preview(source, edge), size)
