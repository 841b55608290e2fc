"""The form that saves a view of the table."""

from __future__ import annotations

from urllib.parse import urlencode

from django import forms
from django.http import QueryDict

from finetune_portal.jobs.table.query import NARROWING
from finetune_portal.web.forms import InlineForm


class ViewForm(InlineForm):
    name = forms.CharField(max_length=40, error_messages={"required": "Give the view a name."})
    query = forms.CharField(max_length=500, required=False)

    def clean_query(self) -> str:
        """Only what narrows and sorts: not the place in the pages, nor what else stood in the address."""
        told = QueryDict(str(self.cleaned_data["query"]))
        return urlencode({name: told[name] for name in (*NARROWING, "sort") if told.get(name)})
