"""Views without a sign-in: password and OpenID Connect sign-in, invitation, forgotten password."""

from __future__ import annotations

from typing import Any

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from allauth.core import ratelimit
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, PasswordResetConfirmView
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from finetune_portal.accounts import (
    emails,
    reauthentication,
    services,
    sessions,
    sign_in_options,
    single_sign_on,
)
from finetune_portal.accounts.adapters import sign_in_refused
from finetune_portal.accounts.forms import EMAIL_TAKEN, ForgotForm, NewPasswordForm, SetupForm, SignInForm
from finetune_portal.accounts.http import PortalRequest
from finetune_portal.accounts.provider import Adapter
from finetune_portal.audit.services import record

TOO_MANY_EMAILS = "E-mails were sent to this address already. Check your inbox, or try again later."


@method_decorator(require_http_methods(["GET", "HEAD", "POST"]), name="dispatch")
class SignInView(LoginView):
    """Sign in by password. allauth then asks for the second factor of those who have one."""

    template_name = "accounts/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.PASSWORD_SIGN_IN:
            raise PermissionDenied(f"Passwords are disabled here. Sign in with {settings.OIDC_NAME}.")
        return super().post(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        has_ended = "ended" in self.request.GET or "ended" in self.request.POST
        return super().get_context_data(**kwargs) | sign_in_options.context() | {"has_ended": has_ended}

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        login = Login(user=form.get_user(), redirect_url=self.get_success_url())
        return _sign_in(self.request, login)

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)


def _sign_in(request: HttpRequest, login: Login) -> HttpResponse:
    """Sign in a user whose password was checked, by way of the second factor.

    allauth's public `perform_login` does not record how the user signed in, and its LoginView has other
    limits and redirects. A test pins the internal function.
    """
    response: HttpResponse = perform_password_login(request, {}, login)
    return response


@login_not_required
@require_POST
def oidc_start(request: PortalRequest) -> HttpResponse:
    """Render a page that leads to the identity provider: the CSP lets no form redirect to another site."""
    if not single_sign_on.is_enabled():
        raise Http404
    is_due = request.user.is_authenticated and reauthentication.is_required(request)
    if is_due and not reauthentication.is_by_identity_provider(request):
        return reauthentication.redirect_to_reauthentication(back_to=reverse("accounts:profile"))
    next_url = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(next_url, {request.get_host()}, require_https=request.is_secure()):
        next_url = reverse(settings.LOGIN_REDIRECT_URL)
    try:
        invitation = request.POST.get("invitation", "")
        url = single_sign_on.authorization_url(request, next_url, invitation, is_confirmation=is_due)
    except OSError:
        return sign_in_refused(request, f"{settings.OIDC_NAME} cannot be reached. Try again in a minute.")
    return render(request, "accounts/leaving.html", {"address": url})


@login_not_required
@require_safe
def oidc_callback(request: HttpRequest) -> HttpResponse:
    if not single_sign_on.is_enabled():
        raise Http404
    response: HttpResponse = OAuth2CallbackView.adapter_view(Adapter(request, "oidc"))(request)
    return response


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def setup(request: PortalRequest, token: str) -> HttpResponse:
    """Create an account by a one-time link, and sign in."""
    invitation = services.open_invitation(token)
    if invitation is None:
        return render(request, "accounts/setup_gone.html", status=410)
    form = SetupForm(request.POST or None, initial={"email": invitation.email})
    if request.method == "POST" and settings.PASSWORD_SIGN_IN and form.is_valid():
        is_proven = bool(invitation.email) and services.is_from_mail(token, request.GET.get("mailed", ""))
        try:
            user = services.accept(invitation, **form.cleaned_data, is_email_verified=is_proven)
        except services.EmailTakenError:
            form.add_error("email", EMAIL_TAKEN)
        else:
            if user is None:
                return render(request, "accounts/setup_gone.html", status=410)
            return _sign_in(request, Login(user=user, redirect_url=reverse(settings.LOGIN_REDIRECT_URL)))
    status = 422 if form.is_bound else 200
    context = {"form": form, "invitation": invitation, "token": token, **sign_in_options.context()}
    return render(request, "accounts/setup.html", context, status=status)


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def forgot(request: PortalRequest) -> HttpResponse:
    """Send a link to set a new password. The response does not show whether the account exists."""
    if not (settings.EMAIL_HOST and settings.PASSWORD_SIGN_IN):
        raise Http404
    form = ForgotForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "accounts/forgot.html", {"form": form}, status=422 if form.is_bound else 200)
    email = form.cleaned_data["email"].lower()
    if not ratelimit.consume(request, action="reset_password", key=email):
        form.add_error("email", TOO_MANY_EMAILS)
        return render(request, "accounts/forgot.html", {"form": form}, status=429)
    emails.send_in_background(services.send_password_link, email)
    return render(request, "accounts/forgot.html", {"sent_to": email})


@method_decorator(require_http_methods(["GET", "HEAD", "POST"]), name="dispatch")
class NewPasswordView(PasswordResetConfirmView):
    """Set a new password by a link. The sign-in that follows asks for the second factor."""

    template_name = "accounts/new_password.html"
    form_class = NewPasswordForm  # one field is enough
    success_url = reverse_lazy("accounts:login")

    def form_valid(self, form: Any) -> HttpResponse:
        with transaction.atomic():
            person = form.save()
            record(person, "account.password", person, by="link", sessions=sessions.end_all(person))
        messages.success(self.request, "Your new password is set. Sign in with it.")
        return redirect(str(self.success_url))

    def form_invalid(self, form: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        if not self.validlink:
            kwargs["status"] = 410
        return super().render_to_response(context, **kwargs)
