"""Views of second factors: allauth's, with the portal's templates. Changes need a recent confirmation."""

from __future__ import annotations

from typing import Any

from allauth.account.views import ReauthenticateView
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.base.views import ReauthenticateView as ReauthenticateByCodeView
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.views import AddWebAuthnView, ReauthenticateWebAuthnView, RemoveWebAuthnView
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe

from finetune_portal.accounts import reauthentication, second_factor, sessions, sign_in_options
from finetune_portal.accounts.http import PortalRequest
from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record


class PortalFormMixin:
    """Answer an invalid form with 422, and drop placeholders that repeat the label."""

    def get_form(self, form_class: Any = None) -> Any:
        form = super().get_form(form_class)  # type: ignore[misc]
        for field in form.fields.values():
            field.widget.attrs.pop("placeholder", None)
        return form

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)  # type: ignore[misc]
        response.status_code = 422
        return response


class ReauthenticateMixin(PortalFormMixin):
    """Confirm who is signed in, and give the session a new key."""

    template_name = "accounts/confirm.html"

    def form_valid(self, form: Any) -> HttpResponse:
        sessions.renew(self.request)  # type: ignore[attr-defined]  # the view's
        record(self.request.user, "session.confirmed", self.request.user)  # type: ignore[attr-defined]
        return super().form_valid(form)  # type: ignore[misc, no-any-return]


class DecryptErrorMixin:
    """Redirect with a message when the key that encrypted the codes is lost."""

    def get(self, request: PortalRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response: HttpResponse = super().get(request, *args, **kwargs)  # type: ignore[misc]
        except ValidationError as exc:
            messages.error(request, exc.message)
            return redirect("mfa_index")
        return response


@require_safe
def index(request: PortalRequest) -> HttpResponse:
    factors = list(Authenticator.objects.filter(user=request.user).order_by("pk"))
    context = {
        "app": next((each for each in factors if each.type == Authenticator.Type.TOTP), None),
        "keys": [each for each in factors if each.type == Authenticator.Type.WEBAUTHN],
        "codes": next((each for each in factors if each.type == Authenticator.Type.RECOVERY_CODES), None),
        "is_required": settings.REQUIRE_SECOND_FACTOR,
    }
    return render(request, "accounts/second_factor.html", context)


class Authenticate(PortalFormMixin, AuthenticateView):  # type: ignore[misc]  # allauth has no types
    template_name = "accounts/second_step.html"


class ReauthenticateByPassword(ReauthenticateMixin, ReauthenticateView):  # type: ignore[misc]
    """It is the first page for everybody, also for who can only confirm at the identity provider."""

    extra_context = {"by": "password"}

    def dispatch(self, request: PortalRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if reauthentication.is_by_identity_provider(request):
            context = {"by": "identity provider", "next": request.GET.get("next", "")}
            return render(request, self.template_name, context | sign_in_options.context())
        response: HttpResponse = super().dispatch(request, *args, **kwargs)
        return response


class ReauthenticateByCode(ReauthenticateMixin, ReauthenticateByCodeView):  # type: ignore[misc]
    extra_context = {"by": "code"}


class ReauthenticateByKey(ReauthenticateMixin, ReauthenticateWebAuthnView):  # type: ignore[misc]
    extra_context = {"by": "key"}

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = self.render_to_response(self.get_context_data(), status=422)
        return response


class AddApp(PortalFormMixin, ActivateTOTPView):  # type: ignore[misc]
    template_name = "accounts/app_add.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        drawing = context["totp_svg"].partition("?>")[2].strip()
        context["drawing"] = mark_safe(drawing)  # nosec B308  # drawn by qrcode, without text of a person or style
        return context

    def form_valid(self, form: Any) -> HttpResponse:
        """Activate the app. The code that proved it counts as used."""
        apps = Authenticator.objects.filter(user=self.request.user, type=Authenticator.Type.TOTP)
        with transaction.atomic():
            User.objects.select_for_update().get(pk=self.request.user.pk)
            if apps.exists():  # from another tab, at the same moment
                form.add_error("code", "An authenticator app is set up already. Reload the page.")
                return self.form_invalid(form)
            response: HttpResponse = super().form_valid(form)
            second_factor.spend(apps.get(), form.cleaned_data["code"])
        return response


class RemoveApp(PortalFormMixin, DeactivateTOTPView):  # type: ignore[misc]
    template_name = "accounts/factor_remove.html"
    extra_context = {"what": "the authenticator app"}


class AddKey(PortalFormMixin, AddWebAuthnView):  # type: ignore[misc]
    template_name = "accounts/key_add.html"


class RemoveKey(RemoveWebAuthnView):  # type: ignore[misc]
    template_name = "accounts/factor_remove.html"
    extra_context = {"what": "this key"}


class Codes(DecryptErrorMixin, ViewRecoveryCodesView):  # type: ignore[misc]
    template_name = "accounts/codes.html"


class NewCodes(PortalFormMixin, DecryptErrorMixin, GenerateRecoveryCodesView):  # type: ignore[misc]
    template_name = "accounts/codes_new.html"
