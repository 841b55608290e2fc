"""The small forms of the job page. Every error is a sentence in one message."""

from __future__ import annotations

from typing import Any, cast

from django import forms

from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.select_fields import ConnectionField
from finetune_portal.web.forms import InlineForm
from finetune_portal.web.names import NameField


class DescribeForm(InlineForm):
    name = NameField(max_length=80, error_messages={"required": "Enter a name for the job."})
    note_text = forms.CharField(label="Note", max_length=4000, required=False)
    tags = forms.CharField(max_length=200, required=False)

    def clean_tags(self) -> str:
        """Return the comma-separated tags, each once."""
        words = (" ".join(word.split()) for word in str(self.cleaned_data["tags"]).split(","))
        return ", ".join(dict.fromkeys(word for word in words if word))


class DeclineForm(InlineForm):
    reason = forms.CharField(
        label="Reason",
        max_length=400,
        error_messages={"required": "Say why: the person who started the job reads it."},
    )


class ConnectionForm(InlineForm):
    """Another connection for a job that waits for a closed provider."""

    connection = ConnectionField(
        queryset=Connection.objects.none(),
        empty_label=None,
        error_messages={
            "required": "Select a connection.",
            "invalid_choice": "This connection was deactivated. Select another one.",
        },
    )

    def __init__(self, *args: Any, job: Job, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        others = Connection.objects.in_use().exclude(pk=job.connection_id)
        others = others.filter(provider=job.connection.provider)
        cast("ConnectionField", self.fields["connection"]).queryset = others
