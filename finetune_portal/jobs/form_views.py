"""The form of a new job, and the team's presets in it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import trigger_client_event

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.accounts.models import User
from finetune_portal.connections import prices
from finetune_portal.costs import budgets
from finetune_portal.costs.budgets import BudgetExceededError
from finetune_portal.datasets import access as datasets
from finetune_portal.datasets.library import add_url
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.services import store_upload
from finetune_portal.jobs import access, choices, presets, services, sweeps
from finetune_portal.jobs.forms import NAME_LENGTH, NAME_TAKEN, JobForm, PresetForm
from finetune_portal.jobs.limits import LimitExceededError
from finetune_portal.jobs.models import Preset
from finetune_portal.web.errors import ActionError
from finetune_portal.web.forms import reads_forms
from finetune_portal.web.guards import maker_only, takes_file
from finetune_portal.web.http import action_messages, fragment_or_redirect, redirect_to, swap_main_to
from finetune_portal.web.keys import parse_key

REPEATED_FIELDS = (
    *("name", "dataset", "project", "instance_prompt", "learning_rate", "steps"),
    *("machine_type", "connection", "trainer", "parameters"),
)


@takes_file(lambda: settings.DATASET_MAX_BYTES)
@reads_forms(JobForm, PresetForm)
@require_http_methods(["GET", "HEAD", "POST"])
@maker_only
def job_new(request: PortalRequest) -> HttpResponse:
    if request.method != "POST" or "show" in request.POST:  # a button, where no script shows the parameters
        form = JobForm(user=request.user, initial=_initial(request))
        form.suggest_prompt()
        return render(request, "jobs/new.html", _form_context(form))
    form = JobForm(request.POST, request.FILES, user=request.user)
    if not form.is_valid():
        template = "jobs/_form.html" if request.htmx else "jobs/new.html"
        return render(request, template, _form_context(form), status=422)
    dataset, parameter_sets, form_key = _dataset_of(form), form.job_parameters, form.cleaned_data["form_key"]
    if len(parameter_sets) > 1 and request.POST.get("confirmed") != str(len(parameter_sets)):
        return _ask_first(request, form, dataset, to_confirm=sweeps.described(parameter_sets))
    try:
        jobs = services.start_all(
            actor=request.user,
            dataset=dataset,
            form_key=form_key,
            parameter_sets=parameter_sets,
            project=form.cleaned_data["project"],
            exceed=request.POST.get("exceed") == "on",
        )
    except ActionError as exc:
        return _not_started(request, form, dataset, exc)
    for sentence in budgets.warnings(request.user, [(job.connection, job.project) for job in jobs]):
        messages.warning(request, sentence)
    if len(jobs) > 1:
        return redirect_to(request, f"{reverse('jobs:list')}?sweep={form_key}")
    return swap_main_to(request, reverse("jobs:detail", args=[jobs[0].pk]))


@require_http_methods(["GET", "HEAD"])
@maker_only
def job_parameters(request: PortalRequest) -> HttpResponse:
    """The trainers of the selected connection and the parameters of one, with what was typed for another."""
    form = JobForm(user=request.user, initial=request.GET.dict())
    return render(request, "jobs/_parameters.html", {"form": form})


@require_http_methods(["GET", "HEAD"])
@maker_only
def job_price(request: PortalRequest) -> HttpResponse:
    """What a job of the selected trainer costs and how long it trains, for each number of steps typed."""
    form = JobForm(user=request.user, initial=request.GET.dict())
    try:
        estimates = [
            prices.estimate(form.taker, form.chosen.id, each, form.most_inputs) for each in form.typed_steps
        ]
    except prices.PriceUnavailableError:
        estimates = []
    amounts = sorted(each.amount for each in estimates if each)
    return render(
        request,
        "jobs/_estimate.html",
        {
            "form": form,
            "least": amounts[0] if amounts else None,
            "most": amounts[-1] if amounts else None,
            "total": _total(form, [each.amount for each in estimates if each]),
            "currency": next((each.currency for each in estimates if each), ""),
            "budgets": budgets.shown(request.user, form.taker),
            "is_asked": True,
            "is_unknown": bool(estimates) and not amounts,
        },
    )


def _total(form: JobForm, amounts: list[Decimal]) -> Decimal | None:
    """What all jobs of the form cost together; `amounts` are those of each number of steps."""
    if not form.model_count or not amounts or len(amounts) != len(form.typed_steps):
        return None
    return sum(amounts, Decimal()) * (form.model_count // len(amounts))


def _dataset_of(form: JobForm) -> Dataset:
    """Return the selected dataset, or a new one from the file or URL of the form."""
    dataset, file, url = (form.cleaned_data[name] for name in ("dataset", "file", "source_url"))
    if file:
        return store_upload(owner=form.user, file=file)
    return dataset or add_url(url, owner=form.user)


def _ask_first(
    request: PortalRequest, form: JobForm, dataset: Dataset, *, status: int = 200, **question: Any
) -> HttpResponse:
    """Show the form again with a question: to start several paid jobs, or to exceed a limit."""
    form.data = {**form.data, "dataset": dataset.pk}
    context = {**_form_context(form), **question, "dataset": dataset}
    template = "jobs/_form.html" if request.htmx else "jobs/new.html"
    return render(request, template, context, status=status)


def _not_started(request: PortalRequest, form: JobForm, dataset: Dataset, exc: ActionError) -> HttpResponse:
    """Show the form again with what prevented the start: a limit, or the project was changed meanwhile."""
    if isinstance(exc, LimitExceededError | BudgetExceededError):
        number = len(form.job_parameters)
        return _ask_first(request, form, dataset, status=422, exceeded=str(exc), number=number)
    form.add_error("project", str(exc))
    return _ask_first(request, form, dataset, status=422)


@require_POST
@reads_forms(JobForm, PresetForm)
@maker_only
def save_preset(request: PortalRequest) -> HttpResponse:
    """Save all parameters as a preset of the team; the other fields stay as typed."""
    form = PresetForm(request.POST, user=request.user)
    if form.is_valid():
        try:
            preset = presets.save_preset(request.user, form.cleaned_data["preset_name"], **form.preset)
            messages.success(request, f"“{preset}” is now a preset {_for_whom(preset)}.")
        except presets.NameTakenError:
            form.add_error("preset_name", NAME_TAKEN)
        except ActionError as exc:
            form.add_error("preset_name", str(exc))
    status, shown = (200, PresetForm(user=request.user)) if form.is_valid() else (422, form)
    if request.htmx:
        answer = render(request, "jobs/_presets.html", _preset_context(shown), status=status)
        return trigger_client_event(answer, "presets-changed", after="settle")
    typed = JobForm(user=request.user, initial=_initial(request))
    return render(request, "jobs/new.html", {**_form_context(typed), "preset_form": shown}, status=status)


@require_POST
@maker_only
def delete_preset(request: PortalRequest, pk: int) -> HttpResponse:
    preset = access.preset_to_delete(request.user, pk)
    with action_messages(request, f"Deleted the preset “{preset.name}”."):
        presets.delete_preset(preset, actor=request.user)
    context = _preset_context(PresetForm(user=request.user))
    answer = fragment_or_redirect(request, "jobs/_presets.html", context, back_to=reverse("jobs:new"))
    return trigger_client_event(answer, "presets-changed", after="settle") if request.htmx else answer


def _for_whom(preset: Preset) -> str:
    if preset.project and preset.project.is_private:
        return f"for the members of “{preset.project}”"
    return "for the whole team"


def _initial(request: PortalRequest) -> dict[str, Any]:
    """Start from the first built-in preset, from a job for “Train again with changes”, or as it was sent."""
    if request.method == "POST":
        return request.POST.dict()
    first = choices.BUILT_IN_PRESETS[0]
    initial: dict[str, Any] = {"learning_rate": first.learning_rate, "steps": first.steps}
    if (pk := parse_key(request.GET.get("again", ""))) is not None:
        job = access.visible(request.user).filter(pk=pk).first()
        if job is not None:
            return {name: getattr(job, name) for name in REPEATED_FIELDS}
    if (pk := parse_key(request.GET.get("dataset", ""))) is not None:
        initial |= {"dataset": pk, "name": _suggested_name(request.user, pk)}
    return initial


def _suggested_name(user: User, dataset: int) -> str:
    """The name of the dataset; none after its first job, so that “Back” and “Start” start no second one."""
    if access.visible(user).filter(owner=user, dataset=dataset).exists():
        return ""
    name = datasets.visible(user).filter(pk=dataset).values_list("name", flat=True).first() or ""
    return name[:NAME_LENGTH].strip()


def _form_context(form: JobForm) -> dict[str, Any]:
    return {
        "form": form,
        "preset_cards": form.preset_cards,
        "preset_form": PresetForm(user=form.user),
        "dataset": form.chosen_dataset,
        "max_bytes": settings.DATASET_MAX_BYTES,
    }


def _preset_context(form: PresetForm) -> dict[str, Any]:
    """What a job of each takes is asked for once they stand there."""
    return {"preset_cards": presets.cards(form.user), "preset_form": form}
