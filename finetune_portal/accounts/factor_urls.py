"""URLs of allauth's views that the portal uses, under the names that allauth expects."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from django.http.response import HttpResponseBase
from django.urls import path
from django.views import View
from django.views.decorators.http import require_http_methods

from finetune_portal.accounts import factor_views as views
from finetune_portal.accounts import reauthentication
from finetune_portal.accounts.http import PortalRequest
from finetune_portal.accounts.views import SignInView, oidc_callback


def page(view: type[View]) -> Callable[..., HttpResponseBase]:
    """Restrict a form view to GET, HEAD and POST: by itself it also accepts PUT."""
    return require_http_methods(["GET", "HEAD", "POST"])(view.as_view())


def guarded(view: type[View]) -> Callable[..., HttpResponseBase]:
    """Restrict it to people who confirmed who they are, also to those whom allauth itself does not ask."""
    shown = page(view)

    @wraps(shown)
    def check(request: PortalRequest, **kwargs: int) -> HttpResponseBase:
        if reauthentication.is_required(request) and reauthentication.is_by_identity_provider(request):
            return reauthentication.redirect_to_reauthentication(back_to=request.path)
        return shown(request, **kwargs)

    return check


urlpatterns = [
    path("login/", SignInView.as_view(), name="account_login"),
    path("login/second-factor/", page(views.Authenticate), name="mfa_authenticate"),
    path("login/oidc/callback/", oidc_callback, name="oidc_callback"),
    path("profile/confirm/", page(views.ReauthenticateByPassword), name="account_reauthenticate"),
    path("profile/confirm/code/", page(views.ReauthenticateByCode), name="mfa_reauthenticate"),
    path("profile/confirm/key/", page(views.ReauthenticateByKey), name="mfa_reauthenticate_webauthn"),
    path("profile/second-factor/", views.index, name="mfa_index"),
    path("profile/second-factor/app/", guarded(views.AddApp), name="mfa_activate_totp"),
    path("profile/second-factor/app/remove/", guarded(views.RemoveApp), name="mfa_deactivate_totp"),
    path("profile/second-factor/keys/", views.index, name="mfa_list_webauthn"),
    path("profile/second-factor/keys/add/", guarded(views.AddKey), name="mfa_add_webauthn"),
    path(
        "profile/second-factor/keys/<int:pk>/remove/",
        guarded(views.RemoveKey),
        name="mfa_remove_webauthn",
    ),
    path("profile/second-factor/codes/", guarded(views.Codes), name="mfa_view_recovery_codes"),
    path("profile/second-factor/codes/new/", guarded(views.NewCodes), name="mfa_generate_recovery_codes"),
]
