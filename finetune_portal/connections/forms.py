"""The forms of a connection: name, a provider from the operator's list, API key."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.conf import settings

from finetune_portal.connections.models import Connection
from finetune_portal.providers.segmind import keys
from finetune_portal.web.names import NameField


class KeyField(forms.CharField):
    """An API key. It is never shown again, not even after an error."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"})
        required = {"required": "Paste the API key."}
        super().__init__(label="API key", max_length=300, widget=widget, error_messages=required, **kwargs)

    def clean(self, value: Any) -> str:
        key = str(super().clean(value))
        if not re.fullmatch(r"[!-~]{8,}", key):
            raise forms.ValidationError(
                "This is not an API key. Keys have at least 8 characters and no spaces."
            )
        return key


class ConnectionNameField(NameField):
    def __init__(self, **kwargs: Any) -> None:
        required = {"required": "Enter a name, for example the account it belongs to."}
        super().__init__(label="Name", max_length=60, error_messages=required, **kwargs)


class AddForm(forms.Form):
    name = ConnectionNameField()
    base_url = forms.ChoiceField(
        label="Provider",
        choices=lambda: [(url, url.removeprefix("https://")) for url in settings.PROVIDER_URLS],
        help_text="The operator decides which providers are listed, so that no key goes to a wrong address.",
        error_messages={"invalid_choice": "This provider is not on the operator's list."},
    )
    key = KeyField(help_text=keys.HINT)

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if Connection.objects.filter(name__iexact=name).exists():
            raise forms.ValidationError("A connection with this name exists. Choose another name.")
        return name


class ConnectionForm(forms.Form):
    """A form in the card of one connection. The page has several cards, so the ids name the connection."""

    def __init__(self, *args: Any, connection: Connection, **kwargs: Any) -> None:
        kwargs["auto_id"] = f"connection-{connection.pk}-%s"
        super().__init__(*args, **kwargs)
        self.connection = connection


class RenameForm(ConnectionForm):
    name = ConnectionNameField()

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if Connection.objects.filter(name__iexact=name).exclude(pk=self.connection.pk).exists():
            raise forms.ValidationError("A connection with this name exists. Choose another name.")
        return name


class KeyForm(ConnectionForm):
    key = KeyField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.connection.is_segmind:
            self.fields["key"].help_text = keys.HINT
