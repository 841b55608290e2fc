"""The filter of the costs, whose invalid values are ignored, and the form of a budget."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Max, Min, QuerySet

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection, Kind
from finetune_portal.costs.amounts import exact
from finetune_portal.costs.models import CREDITS, DEFAULT_AMOUNT, USD, Budget, Cost, currency_of
from finetune_portal.costs.months import Month
from finetune_portal.projects.models import Project
from finetune_portal.web.forms import InlineForm
from finetune_portal.web.number_fields import ExactNumberField

ALL = "all"
WHAT_HAPPENS = (
    "Warn: jobs start, and whoever starts one reads it. Ask an admin: a job above the budget waits until an "
    "admin approves it, and runs of models are refused. Stop: nothing more starts this month, unless an "
    "admin confirms it. What has no known price waits for an admin in the last two cases."
)
AMOUNT_HELP = (
    "A month, from its first day in UTC. Bills count, and estimates of what has no bill yet. A new "
    f"connection that costs money starts with {DEFAULT_AMOUNT} and only warns: that is some twenty jobs at "
    "the prices of fal, and nobody is stopped before the team has decided."
)
SAME = "There is a budget of the same person, connection, project and currency. Change that one."


class FilterForm(forms.Form):
    month = forms.ChoiceField(required=False, label="Month")
    person: forms.ModelChoiceField[User] = forms.ModelChoiceField(
        queryset=None, required=False, label="Person", empty_label="Everyone"
    )
    project: forms.ModelChoiceField[Project] = forms.ModelChoiceField(
        queryset=None, required=False, label="Project", empty_label="All projects"
    )
    connection: forms.ModelChoiceField[Connection] = forms.ModelChoiceField(
        queryset=None, required=False, label="Connection", empty_label="All connections"
    )

    def __init__(self, data: Any, costs: QuerySet[Cost]) -> None:
        super().__init__({"month": str(Month.current()), **data.dict()})
        self.costs = costs
        month, person, project, connection = (
            self.fields[name] for name in ("month", "person", "project", "connection")
        )
        used_projects = Project.objects.filter(pk__in=costs.order_by().values("project"))
        project.queryset = used_projects.order_by("folded_name", "pk")  # type: ignore[attr-defined]
        month.choices = [(ALL, "All months"), *((str(each), each.title) for each in _months(costs))]  # type: ignore[attr-defined]
        people = User.objects.filter(pk__in=costs.order_by().values("person"))
        person.queryset = people.order_by("name", "pk")  # type: ignore[attr-defined]
        used = Connection.objects.filter(pk__in=costs.order_by().values("connection"))
        connection.queryset = used.order_by("name", "pk")  # type: ignore[attr-defined]
        self.is_valid()

    @property
    def chosen_month(self) -> Month | None:
        """The month that is shown; None for all of them."""
        text = self.cleaned_data.get("month") or str(Month.current())
        return None if text == ALL else Month.parse(text)

    def filtered(self, *, all_months: bool = False) -> QuerySet[Cost]:
        rows = self.costs
        if self.chosen_month and not all_months:
            rows = rows.filter(self.chosen_month.condition)
        for name in ("person", "project", "connection"):
            if chosen := self.cleaned_data.get(name):
                rows = rows.filter(**{name: chosen})
        return rows


class BudgetAmountField(ExactNumberField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            min_value=0,
            max_value=1_000_000,
            max_digits=12,
            decimal_places=4,
            error_messages={
                "required": "Enter an amount.",
                "invalid": "Enter the amount as a number, such as 50 or 12.50.",
            },
            **kwargs,
        )


class BudgetForm(forms.Form):
    """A new budget, or another amount or action of one."""

    person: forms.ModelChoiceField[User] = forms.ModelChoiceField(
        queryset=User.objects.none(), required=False, label="Person", empty_label="Everybody together"
    )
    connection: forms.ModelChoiceField[Connection] = forms.ModelChoiceField(
        queryset=Connection.objects.none(), required=False, label="Connection", empty_label="All connections"
    )
    project: forms.ModelChoiceField[Project] = forms.ModelChoiceField(
        queryset=Project.objects.all(),
        required=False,
        label="Project",
        empty_label="All projects",
        error_messages={"invalid_choice": "This project was deleted. Select another one."},
    )
    amount = BudgetAmountField(
        label="Amount",
        help_text=AMOUNT_HELP,
    )
    currency = forms.ChoiceField(
        label="Currency",
        choices=[(USD, USD), (CREDITS, CREDITS)],
        required=False,
        help_text="Of a budget for all connections. One for a connection has the currency of its account.",
    )
    action = forms.ChoiceField(label="Above it", choices=Budget.Action.choices, help_text=WHAT_HAPPENS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people: Any = self.fields["person"]
        people.queryset = User.objects.filter(is_active=True).order_by("name", "pk")
        connections: Any = self.fields["connection"]
        connections.queryset = Connection.objects.exclude(kind=Kind.ENGINE).order_by("name", "pk")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if connection := cleaned.get("connection"):
            cleaned["currency"] = currency_of(connection)
        cleaned["currency"] = cleaned.get("currency") or USD
        same = {name: cleaned.get(name) for name in ("person", "connection", "project", "currency")}
        if Budget.objects.filter(**same).exists():
            self.add_error(None, SAME)
        return cleaned

    @property
    def budget(self) -> Budget:
        names = ("person", "connection", "project", "currency", "action")
        fields = {name: self.cleaned_data[name] for name in names}
        return Budget(**fields, amount=exact(self.cleaned_data["amount"]))


class ChangeBudgetForm(InlineForm):
    amount = BudgetAmountField()
    action = forms.ChoiceField(label="Above it", choices=Budget.Action.choices)


def _months(costs: QuerySet[Cost]) -> list[Month]:
    """From this month back to the first cost."""
    ends = costs.order_by().aggregate(first=Min("at"), last=Max("at"))
    month = max(Month.current(), Month.of(ends["last"])) if ends["last"] else Month.current()
    first = Month.of(ends["first"]) if ends["first"] else month
    months = [month]
    while months[-1] > first:
        months.append(months[-1].previous)
    return months
