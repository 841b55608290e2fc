"""The pages of connections, under /settings/."""

from __future__ import annotations

from django.urls import path

from finetune_portal.connections import views

app_name = "connections"
urlpatterns = [
    path("settings/", views.connections, name="list"),
    path("settings/connections/add/", views.add, name="add"),
    path("settings/connections/<int:pk>/test/", views.test, name="test"),
    path("settings/connections/<int:pk>/try-now/", views.try_now, name="try-now"),
    path("settings/connections/<int:pk>/key/", views.change_key, name="key"),
    path("settings/connections/<int:pk>/admin-key/", views.change_admin_key, name="admin-key"),
    path("settings/connections/<int:pk>/rename/", views.rename, name="rename"),
    path("settings/connections/<int:pk>/default/", views.make_default, name="default"),
    path("settings/connections/<int:pk>/switch/", views.switch, name="switch"),
]
