"""The doors: sign in by password or by OpenID Connect, a new account behind a link, a new password."""

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
from finetune_portal.accounts.adapters import refused
from finetune_portal.accounts.forms import ForgotForm, NewPasswordForm, SetupForm, SignInForm
from finetune_portal.accounts.http import PortalRequest
from finetune_portal.accounts.provider import Adapter
from finetune_portal.audit.services import record

MANY_LETTERS = "That was asked for a moment ago. Look into your mail, or try again in a minute."


@method_decorator(require_http_methods(["GET", "HEAD", "POST"]), name="dispatch")
class SignIn(LoginView):
    """The password is the first step; allauth asks for the second one where there is one."""

    template_name = "accounts/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.PASSWORD_SIGN_IN:
            raise PermissionDenied(f"Passwords are switched off here. Sign in with {settings.OIDC_NAME}.")
        return super().post(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | sign_in_options.context()

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        login = Login(user=form.get_user(), redirect_url=self.get_success_url())
        return _in(self.request, login)

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)


def _in(request: HttpRequest, login: Login) -> HttpResponse:
    answer: HttpResponse = perform_password_login(request, {}, login)
    return answer


@login_not_required
@require_POST
def oidc_start(request: PortalRequest) -> HttpResponse:
    """A page that leads on: the policy of the portal lets no form be redirected to another site."""
    if not single_sign_on.is_on():
        raise Http404
    if request.user.is_authenticated and reauthentication.is_due(request):
        return reauthentication.ask(back_to=reverse("accounts:profile"))
    onward = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(onward, {request.get_host()}, require_https=request.is_secure()):
        onward = reverse(settings.LOGIN_REDIRECT_URL)
    try:
        address = single_sign_on.address(request, onward, request.POST.get("invitation", ""))
    except OSError:
        return refused(
            request, f"{settings.OIDC_NAME} cannot be reached at the moment. Try again in a minute."
        )
    return render(request, "accounts/leaving.html", {"address": address})


@login_not_required
@require_safe
def oidc_callback(request: HttpRequest) -> HttpResponse:
    if not single_sign_on.is_on():
        raise Http404
    answer: HttpResponse = OAuth2CallbackView.adapter_view(Adapter(request, "oidc"))(request)
    return answer


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def setup(request: PortalRequest, token: str) -> HttpResponse:
    """The page behind a one-time link: make the account and go straight in."""
    invitation = services.open_invitation(token)
    if invitation is None:
        return render(request, "accounts/setup_gone.html", status=410)
    form = SetupForm(request.POST or None, initial={"email": invitation.email})
    if request.method == "POST" and settings.PASSWORD_SIGN_IN and form.is_valid():
        user = services.accept(invitation, **form.cleaned_data)
        if user is None:
            return render(request, "accounts/setup_gone.html", status=410)
        return _in(request, Login(user=user, redirect_url=reverse(settings.LOGIN_REDIRECT_URL)))
    status = 422 if form.is_bound else 200
    context = {"form": form, "invitation": invitation, "token": token, **sign_in_options.context()}
    return render(request, "accounts/setup.html", context, status=status)


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def forgot(request: PortalRequest) -> HttpResponse:
    """Answers the same whether there is such an account or not."""
    if not (settings.EMAIL_HOST and settings.PASSWORD_SIGN_IN):
        raise Http404
    form = ForgotForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "accounts/forgot.html", {"form": form}, status=422 if form.is_bound else 200)
    email = form.cleaned_data["email"].lower()
    if not ratelimit.consume(request, action="reset_password", key=email):
        form.add_error("email", MANY_LETTERS)
        return render(request, "accounts/forgot.html", {"form": form}, status=429)
    emails.send_in_background(services.send_password_link, email)
    return render(request, "accounts/forgot.html", {"sent_to": email})


@method_decorator(require_http_methods(["GET", "HEAD", "POST"]), name="dispatch")
class NewPassword(PasswordResetConfirmView):
    """Behind an admin's link or a letter. The second factor is asked for at the sign-in that follows."""

    template_name = "accounts/new_password.html"
    form_class = NewPasswordForm  # one field is enough
    success_url = reverse_lazy("accounts:login")

    def form_valid(self, form: Any) -> HttpResponse:
        with transaction.atomic():
            person = form.save()
            record(person, "account.password", person, by="link", sessions=sessions.end_all(person))
        messages.success(self.request, "Your new password works from now on.")
        return redirect(str(self.success_url))

    def form_invalid(self, form: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=422)

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        if not self.validlink:
            kwargs["status"] = 410
        return super().render_to_response(context, **kwargs)
