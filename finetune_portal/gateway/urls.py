"""The calls under the provider's own paths, personal tokens under /tokens/, the reference under /api/."""

from __future__ import annotations

from django.urls import path

from finetune_portal.gateway import endpoints, views
from finetune_portal.gateway.api_call import not_found
from finetune_portal.gateway.generations import endpoints as generations

app_name = "gateway"
urlpatterns = [
    path("tokens/", views.tokens, name="tokens"),
    path("tokens/<int:pk>/revoke/", views.revoke, name="revoke"),
    path("api/", views.reference, name="reference"),
    path("api/v1/trainers", endpoints.trainers, name="trainers"),
    path("api/openapi.json", views.openapi_document, name="openapi"),
    path("finetune/request/submit", endpoints.submit, name="submit"),
    path("finetune/request/details", endpoints.details, name="details"),
    path("finetune/request/list", endpoints.listing, name="list"),
    path("finetune/request/upload/pre-signed-url", endpoints.presigned_url, name="presigned-url"),
    path("finetune/request/access-update", endpoints.access_update, name="access-update"),
    path("finetune/request/file/download", endpoints.download, name="download"),
    path("v1/get-user-credits", endpoints.balance, name="balance"),
    path("v1/<str:slug>", generations.run, name="run"),
    path("v2/<str:slug>", generations.submit, name="run-submit"),
    path("v2/requests/<uuid:key>", generations.result, name="run-result"),
    path("v2/requests/<uuid:key>/status", generations.status, name="run-status"),
    path("v2/requests/<uuid:key>/output.<str:kind>", generations.output, name="run-output"),
    path("upload-asset", generations.upload_asset, name="upload-asset"),
    path("assets/<str:filename>", not_found, name="asset"),
    path("finetune/uploads/<uuid:key>/<str:filename>", not_found, name="uploaded"),
    path("finetune/<path:rest>", not_found, name="nothing"),
    path("v1/<path:rest>", not_found, name="nothing-v1"),
    path("v2/<path:rest>", not_found, name="nothing-v2"),
]
