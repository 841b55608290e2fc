"""Deletion under /jobs/, /datasets/ and /settings/projects/."""

from __future__ import annotations

from django.urls import path

from finetune_portal.deletion import views

app_name = "deletion"
urlpatterns = [
    path("jobs/delete/", views.delete_jobs, name="jobs"),
    path("jobs/<int:pk>/delete/", views.delete_job, name="job"),
    path("jobs/<int:pk>/delete-model/", views.delete_model, name="model"),
    path("datasets/<int:pk>/delete-with-jobs/", views.delete_dataset, name="dataset"),
    path("settings/projects/<int:pk>/delete/", views.delete_project, name="project"),
]
