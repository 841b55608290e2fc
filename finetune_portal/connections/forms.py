"""What an admin gives to a connection: a name, an upstream from the operator's list, a key."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.conf import settings

from finetune_portal.connections.models import Connection


class KeyField(forms.CharField):
    """An API key. Never shown again: after a mistake it is typed once more."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"})
        required = {"required": "Paste the API key."}
        super().__init__(label="API key", max_length=300, widget=widget, error_messages=required, **kwargs)

    def clean(self, value: Any) -> str:
        key = str(super().clean(value))
        if not re.fullmatch(r"[!-~]{8,}", key):
            raise forms.ValidationError("That is no API key: it has at least 8 characters and no spaces.")
        return key


class NameField(forms.CharField):
    def __init__(self, **kwargs: Any) -> None:
        required = {"required": "Give the connection a name, for example the account it belongs to."}
        super().__init__(label="Name", max_length=60, error_messages=required, **kwargs)


class AddForm(forms.Form):
    name = NameField()
    base_url = forms.ChoiceField(
        label="Upstream",
        choices=lambda: [(url, url.removeprefix("https://")) for url in settings.PROVIDER_URLS],
        help_text="The operator lists others in PORTAL_PROVIDER_URLS, so that no key goes astray.",
        error_messages={"invalid_choice": "That upstream is not on the operator's list."},
    )
    key = KeyField()

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if Connection.objects.filter(name__iexact=name).exists():
            raise forms.ValidationError("There is a connection of this name already. Choose another.")
        return name


class OfConnection(forms.Form):
    """A form in the card of one connection; the page has several cards, so its ids say which."""

    def __init__(self, *args: Any, connection: Connection, **kwargs: Any) -> None:
        kwargs["auto_id"] = f"connection-{connection.pk}-%s"
        super().__init__(*args, **kwargs)
        self.connection = connection


class RenameForm(OfConnection):
    name = NameField()

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if Connection.objects.filter(name__iexact=name).exclude(pk=self.connection.pk).exists():
            raise forms.ValidationError("There is a connection of this name already. Choose another.")
        return name


class KeyForm(OfConnection):
    key = KeyField()
