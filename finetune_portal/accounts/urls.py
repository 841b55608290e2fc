"""URLs of sign-in, profile and team. factor_urls.py has those of allauth's views."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from finetune_portal.accounts import profile_views, team_views, views

app_name = "accounts"
urlpatterns = [
    path("login/", views.SignInView.as_view(), name="login"),
    path("login/oidc/", views.oidc_start, name="oidc"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("setup/<str:token>/", views.setup, name="setup"),
    path("password/forgot/", views.forgot, name="forgot"),
    path("password/<str:uidb64>/<str:token>/", views.NewPasswordView.as_view(), name="new-password"),
    path("profile/", profile_views.profile, name="profile"),
    path("profile/password/", profile_views.password, name="password"),
    path("profile/sessions/end/", profile_views.end_others, name="end-others"),
    path("profile/sessions/<int:pk>/end/", profile_views.end_session, name="end-session"),
    path("team/", team_views.team, name="team"),
    path("team/invite/", team_views.invite, name="invite"),
    path("team/invitations/<int:pk>/revoke/", team_views.revoke, name="revoke"),
    path("team/<int:pk>/role/", team_views.role, name="role"),
    path("team/<int:pk>/active/", team_views.active, name="active"),
    path("team/<int:pk>/unlock/", team_views.unlock, name="unlock"),
    path("team/<int:pk>/password/", team_views.password_link, name="password-link"),
    path("team/<int:pk>/second-factor/", team_views.remove_second_factor, name="remove-second-factor"),
]
