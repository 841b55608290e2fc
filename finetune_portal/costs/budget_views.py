"""The settings page of the budgets, for admins."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.accounts.reauthentication import recent_sign_in_required
from finetune_portal.costs import budgets, services
from finetune_portal.costs.amounts import exact
from finetune_portal.costs.forms import BudgetForm, ChangeBudgetForm
from finetune_portal.costs.models import Budget
from finetune_portal.costs.months import Month
from finetune_portal.web.forms import reads_forms
from finetune_portal.web.guards import admin_only
from finetune_portal.web.http import action_messages


@require_http_methods(["GET", "HEAD", "POST"])
@reads_forms(BudgetForm)
@admin_only
@recent_sign_in_required
def page(request: PortalRequest) -> HttpResponse:
    """All budgets, and the form that adds one."""
    form = BudgetForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with action_messages(request, "The budget is added."):
            services.set_budget(form.budget, actor=request.user)
        return redirect("costs:budgets")
    return _page(request, form)


@require_POST
@reads_forms(ChangeBudgetForm)
@admin_only
@recent_sign_in_required
def change(request: PortalRequest, pk: int) -> HttpResponse:
    budget = _budget(pk)
    form = ChangeBudgetForm(request.POST)
    if not form.is_valid():
        return _page(request, BudgetForm(), changed=budget, change_form=form)
    budget.amount, budget.action = exact(form.cleaned_data["amount"]), form.cleaned_data["action"]
    with action_messages(request, f"The budget of “{budget.title}” is changed."):
        services.set_budget(budget, actor=request.user)
    return redirect("costs:budgets")


@require_POST
@admin_only
@recent_sign_in_required
def remove(request: PortalRequest, pk: int) -> HttpResponse:
    budget = _budget(pk)
    with action_messages(request, f"The budget of “{budget.title}” is removed."):
        services.remove_budget(budget, actor=request.user)
    return redirect("costs:budgets")


def _budget(pk: int) -> Budget:
    """With what it is of, which is named also where it is deleted meanwhile."""
    return get_object_or_404(Budget.objects.select_related("project", "connection", "person"), pk=pk)


def _page(request: PortalRequest, form: BudgetForm, **refused: Any) -> HttpResponse:
    """Render all budgets. `refused`: the one that was to be changed, with what was typed and why not."""
    context = {
        "form": form,
        "budgets": budgets.all_shown(),
        "actions": Budget.Action.choices,
        "month": Month.current(),
        **refused,
    }
    return render(request, "costs/budgets.html", context, status=422 if form.is_bound or refused else 200)
