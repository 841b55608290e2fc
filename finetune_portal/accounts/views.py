"""Sign in, sign out, first start."""

from __future__ import annotations

from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_http_methods

from finetune_portal.accounts import services
from finetune_portal.accounts.forms import SetupForm, SignInForm
from finetune_portal.web.http import PortalRequest


@method_decorator(require_http_methods(["GET", "HEAD", "POST"]), name="dispatch")
class SignIn(LoginView):
    template_name = "accounts/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def setup(request: PortalRequest, token: str) -> HttpResponse:
    """The page behind a one-time link: make the account and go straight in."""
    invitation = services.open_invitation(token)
    if invitation is None:
        return render(request, "accounts/setup_gone.html", status=410)
    form = SetupForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = services.accept(invitation, **form.cleaned_data)
        if user is None:
            return render(request, "accounts/setup_gone.html", status=410)
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return redirect("jobs:list")
    status = 422 if form.is_bound else 200
    return render(request, "accounts/setup.html", {"form": form}, status=status)
