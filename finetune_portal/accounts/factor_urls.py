"""The pages of allauth that the portal has, under the names by which allauth looks for them."""

from __future__ import annotations

from django.urls import path

from finetune_portal.accounts import factor_views as views
from finetune_portal.accounts.views import SignIn, oidc_callback

urlpatterns = [
    path("login/", SignIn.as_view(), name="account_login"),
    path("login/second-factor/", views.Authenticate.as_view(), name="mfa_authenticate"),
    path("login/oidc/callback/", oidc_callback, name="oidc_callback"),
    path("profile/confirm/", views.ConfirmByPassword.as_view(), name="account_reauthenticate"),
    path("profile/confirm/code/", views.ConfirmByCode.as_view(), name="mfa_reauthenticate"),
    path("profile/confirm/key/", views.ConfirmByKey.as_view(), name="mfa_reauthenticate_webauthn"),
    path("profile/second-factor/", views.index, name="mfa_index"),
    path("profile/second-factor/app/", views.AddApp.as_view(), name="mfa_activate_totp"),
    path("profile/second-factor/app/remove/", views.RemoveApp.as_view(), name="mfa_deactivate_totp"),
    path("profile/second-factor/keys/", views.index, name="mfa_list_webauthn"),
    path("profile/second-factor/keys/add/", views.AddKey.as_view(), name="mfa_add_webauthn"),
    path(
        "profile/second-factor/keys/<int:pk>/remove/", views.RemoveKey.as_view(), name="mfa_remove_webauthn"
    ),
    path("profile/second-factor/codes/", views.Codes.as_view(), name="mfa_view_recovery_codes"),
    path("profile/second-factor/codes/new/", views.NewCodes.as_view(), name="mfa_generate_recovery_codes"),
]
