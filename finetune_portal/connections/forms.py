"""The forms of a connection: name, a provider from the operator's list, API key."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.conf import settings

from finetune_portal.connections.models import SEGMIND, Connection
from finetune_portal.providers.registry import PROVIDERS
from finetune_portal.providers.segmind import keys
from finetune_portal.web.names import NameField

HINTS = (keys.HINT, *(each.key_hint for each in PROVIDERS.values() if each.key_hint))


def key_hint(connection: Connection) -> str:
    """What the keys of its provider look like; empty where nobody knows."""
    if connection.speaks_segmind:
        return keys.HINT if connection.is_segmind else ""
    return PROVIDERS[connection.provider].key_hint


def looks_like_key(connection: Connection, key: str) -> bool:
    """Whether a key has the form of its provider's, as far as it is known."""
    if connection.speaks_segmind:
        return not connection.is_segmind or keys.looks_like_key(key)
    return bool(re.fullmatch(PROVIDERS[connection.provider].key_pattern, key))


class KeyField(forms.CharField):
    """A key. It is never shown again, not even after an error."""

    def __init__(self, *, label: str = "API key", missing: str = "Paste the API key.", **kwargs: Any) -> None:
        widget = forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"})
        required = {"required": missing}
        super().__init__(label=label, max_length=300, widget=widget, error_messages=required, **kwargs)

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


def _providers() -> list[tuple[str, str]]:
    """Servers that speak Segmind's API by their addresses, then the other providers by their ids."""
    servers = [(url, url.removeprefix("https://")) for url in settings.PROVIDER_URLS]
    return [*servers, *((provider.id, provider.title) for provider in PROVIDERS.values())]


class AddForm(forms.Form):
    name = ConnectionNameField()
    provider = forms.ChoiceField(
        label="Provider",
        choices=_providers,
        help_text="The operator decides which providers are listed, so that no key goes to a wrong address.",
        error_messages={"invalid_choice": "This provider is not on the operator's list."},
    )
    key = KeyField(help_text=" ".join(HINTS))

    @property
    def account(self) -> dict[str, str]:
        """The fields of the connection to add."""
        cleaned = {name: str(self.cleaned_data[name]) for name in ("name", "key")}
        provider = str(self.cleaned_data["provider"])
        if provider in PROVIDERS:
            return {**cleaned, "provider": provider, "base_url": ""}
        return {**cleaned, "provider": SEGMIND, "base_url": provider}

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
        self.fields["key"].help_text = key_hint(self.connection)


class AdminKeyForm(ConnectionForm):
    admin_key = KeyField(
        label="Admin key",
        missing="Paste the admin key.",
        help_text="Optional, of the same account. It is only asked for the balance and for what jobs cost.",
    )
