"""Sign in, and the first page of a new account."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.password_validation import validate_password

from finetune_portal.accounts.models import User


class SignInForm(AuthenticationForm):
    error_messages = {
        "invalid_login": "That e-mail and password do not belong together. Check both.",
        "inactive": "This account is switched off. Ask an admin.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "E-mail"
        self.fields["username"].widget = forms.EmailInput(
            attrs={"autofocus": True, "autocomplete": "username"}
        )


class SetupForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    password = forms.CharField(
        label="Password",
        strip=False,
        help_text="At least 12 characters. A few plain words make a good one.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    class Meta:
        model = User
        fields = ("name", "email")
        labels = {"name": "Your name", "email": "E-mail"}
        widgets = {
            "name": forms.TextInput(attrs={"autofocus": True, "autocomplete": "name"}),
            "email": forms.EmailInput(attrs={"autocomplete": "username"}),
        }

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).lower()
        if User.objects.filter(email=email).exists():
            raise forms.ValidationError("Someone already uses this e-mail. Sign in instead.")
        return email

    def clean_password(self) -> str:
        password = str(self.cleaned_data["password"])
        person = User(email=self.cleaned_data.get("email", ""), name=self.cleaned_data.get("name", ""))
        validate_password(password, person)
        return password
