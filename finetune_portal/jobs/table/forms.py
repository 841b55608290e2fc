"""The form that saves a view of the table."""

from __future__ import annotations

from urllib.parse import urlencode

from django import forms
from django.http import QueryDict

from finetune_portal.jobs.table.query import FILTER_PARAMS
from finetune_portal.web.forms import InlineForm
from finetune_portal.web.names import NameField


class ViewForm(InlineForm):
    name = NameField(
        label="Name of the view", max_length=40, error_messages={"required": "Give the view a name."}
    )
    query = forms.CharField(max_length=500, required=False, widget=forms.HiddenInput)

    def clean_query(self) -> str:
        """Keep only filters, order and layout, not the page or other parameters."""
        params = QueryDict(str(self.cleaned_data["query"]))
        return urlencode(
            {name: params[name] for name in (*FILTER_PARAMS, "sort", "layout") if params.get(name)}
        )
