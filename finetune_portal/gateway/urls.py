"""The calls under the provider's own paths, personal tokens under /tokens/, the reference under /api/."""

from __future__ import annotations

from django.urls import path

from finetune_portal.gateway import endpoints, views
from finetune_portal.gateway.api_call import not_found

app_name = "gateway"
urlpatterns = [
    path("tokens/", views.tokens, name="tokens"),
    path("tokens/<int:pk>/revoke/", views.revoke, name="revoke"),
    path("api/", views.reference, name="reference"),
    path("api/openapi.json", views.openapi_document, name="openapi"),
    path("finetune/request/submit", endpoints.submit, name="submit"),
    path("finetune/request/details", endpoints.details, name="details"),
    path("finetune/request/list", endpoints.listing, name="list"),
    path("finetune/request/upload/pre-signed-url", endpoints.presigned_url, name="presigned-url"),
    path("finetune/request/access-update", endpoints.access_update, name="access-update"),
    path("finetune/request/file/download", endpoints.download, name="download"),
    path("v1/get-user-credits", endpoints.balance, name="balance"),
    path("finetune/uploads/<uuid:key>/<str:filename>", not_found, name="uploaded"),
    path("finetune/<path:rest>", not_found, name="nothing"),
]
