"""The engine's addresses, as docs/provider-api.md has them."""

from __future__ import annotations

from django.urls import path

from finetune_portal.engine.api import extra, finetune, inference, pages, webhooks
from finetune_portal.engine.storage.views import stored_object

urlpatterns = [
    path("", pages.home),
    path("healthz", pages.healthz),
    path("finetune/request/submit", finetune.submit),
    path("finetune/request/details", finetune.details),
    path("finetune/request/list", finetune.listing),
    path("finetune/request/upload/pre-signed-url", finetune.presigned_url),
    path("finetune/request/access-update", finetune.access_update),
    path("finetune/request/file/download", finetune.download),
    path("v1/get-user-credits", finetune.balance),
    path("v1/<str:slug>", inference.run),
    path("upload-asset", inference.upload_asset),
    path("webhook/get", webhooks.listing),
    path("webhook/add", webhooks.add),
    path("webhook/update", webhooks.update),
    path("webhook/inactive", webhooks.inactive),
    path("webhook/dispatch-logs", webhooks.dispatch_logs),
    path("extra", extra.capabilities),
    path("extra/progress", extra.progress_of),
    path("extra/sample", extra.sample),
    path("extra/cancel", extra.cancel),
    path("extra/delete", extra.delete),
    path("storage/<path:key>", stored_object),
]

handler400 = pages.bad_request
handler404 = pages.not_found
handler500 = pages.server_error
