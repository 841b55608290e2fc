"""The webhook endpoint, its settings page, and the deliveries."""

from __future__ import annotations

from django.urls import path

from finetune_portal.webhooks import views

app_name = "webhooks"
urlpatterns = [
    path("hooks/segmind/<str:token>/", views.receive, name="receive"),
    path("hooks/<slug:provider>/attempt/<str:token>/", views.receive_signed, name="receive-signed"),
    path("settings/webhooks/", views.page, name="page"),
    path("settings/webhooks/rotate/", views.rotate, name="rotate"),
    path("settings/webhooks/test/", views.test, name="test"),
    path("settings/webhooks/test/state/", views.test_state, name="test-state"),
    path("settings/webhooks/deliveries/", views.deliveries, name="deliveries"),
    path("settings/webhooks/deliveries/table/", views.deliveries_table, name="table"),
]
