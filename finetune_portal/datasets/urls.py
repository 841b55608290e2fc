"""The library under /datasets/, uploads (tus 1.0) under /uploads/."""

from __future__ import annotations

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from finetune_portal.datasets import views
from finetune_portal.datasets.upload import views as upload_views


class Place(StringConverter):
    """The place of an image in its pair: an input from `start` on, or the target."""

    regex = "start[0-9]{0,2}|end"


register_converter(Place, "place")

app_name = "datasets"
urlpatterns = [
    path("datasets/", views.dataset_list, name="list"),
    path("datasets/sample.zip", views.sample_dataset, name="sample"),
    path("datasets/sample/", views.add_sample, name="add-sample"),
    path("datasets/twin/", views.duplicate, name="duplicate"),
    path("datasets/code-page/", views.code_page, name="code-page"),
    path("datasets/from-url/", views.add_url, name="add-url"),
    path("datasets/<int:pk>/", views.dataset_detail, name="detail"),
    path("datasets/<int:pk>/status/", views.dataset_status, name="status"),
    path("datasets/<int:pk>/pairs/<int:number>/", views.pair, name="pair"),
    path("datasets/<int:pk>/<int:number>-<place:place>-<str:edge>.webp", views.picture, name="picture"),
    path("datasets/<int:pk>/captions/", views.captions, name="captions"),
    path("datasets/<int:pk>/repair/", views.repair, name="repair"),
    path("datasets/<int:pk>/rename/", views.rename, name="rename"),
    path("datasets/<int:pk>/project/", views.move, name="project"),
    path("datasets/<int:pk>/delete/", views.delete, name="delete"),
    path("datasets/<int:pk>/hand-over/", views.transfer_again, name="transfer-again"),
    path("uploads/", upload_views.begin_upload, name="begin-upload"),
    path("uploads/<uuid:key>/", upload_views.upload, name="upload"),
]
