"""URLs of the costs."""

from __future__ import annotations

from django.urls import path

from finetune_portal.costs import budget_views, views

app_name = "costs"
urlpatterns = [
    path("costs/", views.page, name="list"),
    path("costs/csv/", views.as_csv, name="csv"),
    path("settings/budgets/", budget_views.page, name="budgets"),
    path("settings/budgets/<int:pk>/", budget_views.change, name="change-budget"),
    path("settings/budgets/<int:pk>/remove/", budget_views.remove, name="remove-budget"),
]
