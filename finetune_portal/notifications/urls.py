"""The history of a person under /notifications/, and channels under /settings/notices/."""

from __future__ import annotations

from django.urls import path

from finetune_portal.notifications import history_views, views

app_name = "notifications"
urlpatterns = [
    path("notifications/", history_views.page, name="history"),
    path("notifications/unread/", history_views.unread, name="unread"),
    path("settings/notices/", views.page, name="list"),
    path("settings/notices/add/", views.add, name="add"),
    path("settings/notices/confirm/<str:token>/", views.confirm, name="confirm"),
    path("settings/notices/<int:pk>/state/", views.state, name="state"),
    path("settings/notices/<int:pk>/test/", views.test, name="test"),
    path("settings/notices/<int:pk>/switch/", views.switch, name="switch"),
    path("settings/notices/<int:pk>/remove/", views.remove, name="remove"),
]
