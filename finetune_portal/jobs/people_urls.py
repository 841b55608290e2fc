"""The page of a person. It is part of jobs because it shows their jobs and datasets."""

from __future__ import annotations

from django.urls import path

from finetune_portal.jobs import people_views

app_name = "people"
urlpatterns = [path("team/<int:pk>/", people_views.person, name="person")]
