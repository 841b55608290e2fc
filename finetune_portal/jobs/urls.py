"""The table at the root, jobs under /jobs/."""

from __future__ import annotations

from django.urls import path

from finetune_portal.jobs import approval_views, form_views, limit_views, palette_views, views
from finetune_portal.jobs.table import views as table_views

app_name = "jobs"
urlpatterns = [
    path("", table_views.job_list, name="list"),
    path("jobs/table/", table_views.job_table, name="table"),
    path("jobs/display/", table_views.choose_display, name="display"),
    path("jobs/bulk/", table_views.bulk_action, name="bulk"),
    path("jobs/bulk/undo/", table_views.undo_archive, name="undo-archive"),
    path("jobs/compare/", table_views.compare, name="compare"),
    path("jobs/compare/table/", table_views.compared, name="compared"),
    path("views/", table_views.save_view, name="save-view"),
    path("views/<int:pk>/rename/", table_views.rename_view, name="rename-view"),
    path("views/<int:pk>/drop/", table_views.delete_view, name="delete-view"),
    path("jobs/new/presets/", form_views.save_preset, name="save-preset"),
    path("jobs/new/presets/<int:pk>/drop/", form_views.delete_preset, name="delete-preset"),
    path("jobs/new/", form_views.job_new, name="new"),
    path("jobs/new/parameters/", form_views.job_parameters, name="parameters"),
    path("jobs/new/price/", form_views.job_price, name="price"),
    path("palette/", palette_views.results, name="palette"),
    path("settings/limits/", limit_views.page, name="limits"),
    path("jobs/<int:pk>/", views.job_detail, name="detail"),
    path("jobs/<int:pk>/state/", views.job_state, name="state"),
    path("jobs/<int:pk>/public/", views.set_public, name="set-public"),
    path("jobs/<int:pk>/best/", views.set_best, name="set-best"),
    path("jobs/<int:pk>/describe/", views.describe, name="describe"),
    path("jobs/<int:pk>/project/", views.move, name="project"),
    path("jobs/<int:pk>/samples/<slug:sample>/", views.sample, name="sample"),
    path("jobs/<int:pk>/samples/<slug:sample>-<slug:edge>.webp", views.sample_preview, name="sample-preview"),
    path("jobs/<int:pk>/cancel/", views.cancel, name="cancel"),
    path("jobs/<int:pk>/withdraw/", views.withdraw, name="withdraw"),
    path("jobs/<int:pk>/connection/", views.change_connection, name="connection"),
    path("jobs/<int:pk>/decide/", views.decide, name="decide"),
    path("jobs/<int:pk>/approve/", approval_views.approve, name="approve"),
    path("jobs/<int:pk>/decline/", approval_views.decline, name="decline"),
]
