"""Forms of sign-in, invitation, profile and team."""

from __future__ import annotations

from typing import Any

from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from django import forms
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.password_validation import validate_password

from finetune_portal.accounts import second_factor
from finetune_portal.accounts.http import PortalRequest
from finetune_portal.accounts.models import User
from finetune_portal.web.names import NameField

EMAIL_TAKEN = "Someone already uses this e-mail. Sign in instead."
LENGTH_HELP = "At least 12 characters. A few plain words make a good one."


class SignInForm(AuthenticationForm):
    error_messages = {
        "invalid_login": "That e-mail and password do not belong together. Check both.",
        "inactive": "This account is deactivated. Ask an admin.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "E-mail"
        self.fields["username"].widget = forms.EmailInput(
            attrs={"autofocus": True, "autocomplete": "username"}
        )


class CodeForm(AuthenticateForm):  # type: ignore[misc]  # allauth has no types
    """The code at a sign-in or a reauthentication, which is accepted once for both."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].label = "Code"
        self.fields["code"].help_text = "From your authenticator app, or one of your recovery codes."
        self.fields["code"].widget = forms.TextInput(
            attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}
        )

    def clean_code(self) -> str:
        code = str(super().clean_code())
        if not second_factor.spend(self.authenticator, code):
            raise forms.ValidationError("This code was already used. Wait for the next one.")
        return code


class ReauthenticateCodeForm(ReauthenticateForm, CodeForm):  # type: ignore[misc]
    """allauth itself remembers a used code for half a minute, and the code is good for longer."""


def password_field(autocomplete: str = "new-password", **fields: Any) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(strip=False, widget=widget, max_length=128, **fields)


class SetupForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    password = password_field(label="Password", help_text=LENGTH_HELP)

    class Meta:
        model = User
        fields = ("name", "email")
        labels = {"name": "Your name", "email": "E-mail"}
        widgets = {
            "name": forms.TextInput(attrs={"autofocus": True, "autocomplete": "name", "dir": "auto"}),
            "email": forms.EmailInput(attrs={"autocomplete": "username"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.initial.get("email"):
            self.fields["email"].disabled = True
            self.fields["email"].help_text = "The invitation is for this e-mail."

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).lower()
        if User.objects.filter(email=email).exists():
            raise forms.ValidationError(EMAIL_TAKEN)
        return email

    def clean_password(self) -> str:
        password = str(self.cleaned_data["password"])
        person = User(email=self.cleaned_data.get("email", ""), name=self.cleaned_data.get("name", ""))
        validate_password(password, person)
        return password


class NewPasswordForm(forms.Form):
    """Set a password by a one-time link."""

    password = password_field(label="New password", help_text=LENGTH_HELP)

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_password(self) -> str:
        password = str(self.cleaned_data["password"])
        validate_password(password, self.user)
        return password

    def save(self) -> User:
        self.user.set_password(self.cleaned_data["password"])
        self.user.save(update_fields=["password"])
        return self.user


class ChangePasswordForm(NewPasswordForm):
    current = password_field("current-password", label="Current password")
    field_order = ("current", "password")

    def __init__(self, request: PortalRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request.user, *args, **kwargs)
        self.request = request

    def clean_current(self) -> str:
        """Count wrong ones as at a sign-in: whoever stole a session must not find out the password."""
        current = str(self.cleaned_data["current"])
        if authenticate(self.request, username=self.user.email, password=current) != self.user:
            raise forms.ValidationError("That is not your current password.")
        return current


class ForgotForm(forms.Form):
    email = forms.EmailField(
        label="E-mail", widget=forms.EmailInput(attrs={"autofocus": True, "autocomplete": "username"})
    )


class NameForm(forms.Form):
    name = NameField(label="Your name", max_length=80, widget=forms.TextInput(attrs={"autocomplete": "name"}))


class RoleForm(forms.Form):
    role = forms.ChoiceField(
        choices=User.Role.choices,
        error_messages={"invalid_choice": "Choose viewer, maker or admin."},
    )


class InviteForm(RoleForm):
    """`cleaned_data` is what `services.invite` takes."""

    role = forms.ChoiceField(
        label="Role",
        choices=User.Role.choices,
        initial=User.Role.MAKER,
        help_text="Viewers look, makers train, admins do everything.",
    )
    email = forms.EmailField(
        label="E-mail",
        required=False,
        help_text="Optional. You get the link in any case.",
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if settings.EMAIL_HOST:
            self.fields["email"].help_text = "Optional. The portal also sends the link there."

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"]).lower()
        if email and User.objects.filter(email=email).exists():
            raise forms.ValidationError("This person is already on the team.")
        return email
