"""The form of a channel: one field for an e-mail address, a service's webhook or an Apprise URL."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from finetune_portal.accounts.models import User
from finetune_portal.notifications import apprise_client
from finetune_portal.notifications.models import Channel

MAX_CHANNELS = 20


class ChannelForm(forms.Form):
    """`cleaned_data` is what `services.add` takes."""

    address = forms.CharField(
        label="Where to",
        max_length=2000,
        error_messages={"required": "Enter an e-mail address or a URL."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    label = forms.CharField(
        label="Name", max_length=60, required=False, help_text="Optional, such as #jobs or my phone"
    )
    for_team = forms.BooleanField(label="For the whole team", required=False)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        webhook = "webhook URL from Slack, Discord or Teams. For other services, the Apprise URL, such as ntfy://topic."
        what = "An e-mail address, or the" if settings.EMAIL_HOST else "The"
        self.fields["address"].help_text = f"{what} {webhook} A first message goes there at once."
        if not user.can_administer:
            del self.fields["for_team"]

    def clean_address(self) -> str:
        address = str(self.cleaned_data["address"])
        if "://" in address:
            self.kind, self.display_address = Channel.Kind.APPRISE, self._service(address)
        elif not settings.EMAIL_HOST:
            raise ValidationError("This portal cannot send e-mail yet. Ask its operator, or enter a URL.")
        else:
            validate_email(address)
            self.kind, self.display_address = Channel.Kind.EMAIL, address
        return address

    def _service(self, address: str) -> str:
        try:
            return apprise_client.display_address(apprise_client.parse(address))
        except apprise_client.AddressError as exc:
            raise ValidationError(str(exc)) from None

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        for_team = bool(data.get("for_team"))
        if Channel.objects.filter(owner=None if for_team else self.user).count() >= MAX_CHANNELS:
            raise ValidationError(
                f"{MAX_CHANNELS} channels are the limit. Delete one that you no longer need."
            )
        if "address" in data:
            data |= {"kind": self.kind, "display_address": self.display_address, "for_team": for_team}
        return data
