"""Filter the audit record by person, action, object and days. Invalid values are ignored."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet

from finetune_portal.audit.models import AuditEvent
from finetune_portal.audit.sentences import words_around


class FilterForm(forms.Form):
    actor: forms.ModelChoiceField[Any] = forms.ModelChoiceField(
        queryset=None, required=False, label="Who", empty_label="Everyone"
    )
    action = forms.ChoiceField(required=False, label="Action")
    thing = forms.CharField(
        required=False,
        max_length=120,
        label="Object",
        widget=forms.TextInput(attrs={"placeholder": "job 12"}),
    )
    since = forms.DateField(
        required=False, label="From (UTC)", widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(required=False, label="To (UTC)", widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people: Any = self.fields["actor"]
        people.queryset = get_user_model().objects.order_by("name")
        actions = list(AuditEvent.objects.order_by("action").values_list("action", flat=True).distinct())
        kinds = sorted({action.partition(".")[0] for action in actions})
        choices: Any = self.fields["action"]
        choices.choices = [
            ("", "All actions"),
            ("By kind", [(f"{kind}.", f"{kind}: all") for kind in kinds]),
            ("One action", [(action, _label(action)) for action in actions]),
        ]

    def filtered(self, rows: QuerySet[AuditEvent]) -> QuerySet[AuditEvent]:
        self.is_valid()
        filters = self.cleaned_data
        if filters.get("actor"):
            rows = rows.filter(actor=filters["actor"])
        if action := filters.get("action"):
            rows = rows.filter(Q(action__startswith=action) if action.endswith(".") else Q(action=action))
        if filters.get("thing"):
            rows = rows.filter(thing=filters["thing"].strip().lower())
        if filters.get("since"):
            rows = rows.filter(at__gte=datetime.combine(filters["since"], time.min, UTC))
        if filters.get("until"):
            rows = rows.filter(at__lte=datetime.combine(filters["until"], time.max, UTC))
        return rows


def _label(action: str) -> str:
    """The sentence of an action, as “started the job …”."""
    before, after = words_around(action)
    return before if after is None else f"{before}…{after}"
