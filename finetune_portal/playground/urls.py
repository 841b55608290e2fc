"""The playground: one job under /jobs/<pk>/try/, several under /try/, generations under /try/runs/."""

from __future__ import annotations

from django.urls import path

from finetune_portal.playground import views

app_name = "playground"
urlpatterns = [
    path("jobs/<int:pk>/try/", views.job_panel, name="panel"),
    path("try/", views.compare, name="compare"),
    path("try/inputs/<int:pk>/<str:edge>.webp", views.input_picture, name="input"),
    path("try/runs/<int:pk>/", views.generation, name="generation"),
    path("try/runs/<int:pk>/<str:edge>.webp", views.picture, name="picture"),
    path("try/runs/<int:pk>/result/", views.result, name="result"),
    path("try/runs/<int:pk>/without-lora/", views.without_lora, name="without-lora"),
    path("try/runs/<int:pk>/again/", views.run_again, name="run-again"),
    path("try/runs/<int:pk>/delete/", views.delete, name="delete"),
]
