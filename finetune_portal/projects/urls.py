"""Addresses of projects."""

from __future__ import annotations

from django.urls import path

from finetune_portal.projects import views

app_name = "projects"
urlpatterns = [
    path("settings/projects/", views.project_list, name="list"),
    path("settings/projects/add/", views.add, name="add"),
    path("settings/projects/<int:pk>/", views.project_detail, name="detail"),
    path("settings/projects/<int:pk>/rename/", views.rename, name="rename"),
    path("settings/projects/<int:pk>/private/", views.make_private, name="make-private"),
    path("settings/projects/<int:pk>/open/", views.make_open, name="make-open"),
    path("settings/projects/<int:pk>/members/", views.add_member, name="add-member"),
    path("settings/projects/members/<int:pk>/remove/", views.remove_member, name="remove-member"),
]
