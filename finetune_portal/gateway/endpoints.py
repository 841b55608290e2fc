"""The six calls of docs/provider-api.md, the balance and the trainers, answered from rows.

Everything stays within the rights of the token's owner.
"""

from __future__ import annotations

import uuid
from urllib.parse import urljoin

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse

from finetune_portal.connections import closing, declared
from finetune_portal.connections import services as connections
from finetune_portal.datasets import access as datasets
from finetune_portal.datasets.models import Dataset
from finetune_portal.gateway import access, offers, repairs, responses, services, upload_urls
from finetune_portal.gateway.api_call import ApiError, Fields, api_call, boolean, check_right, text
from finetune_portal.gateway.forms import errors_of, training_form
from finetune_portal.gateway.models import PersonalToken, Right
from finetune_portal.gateway.upload_urls import UploadGrant
from finetune_portal.jobs.services import set_public
from finetune_portal.registry.services import download_link
from finetune_portal.web.http import PLAIN

KONTEXT = {"base_model": offers.VENDORS_WORD, "train_type": "LORA", "theme": "KONTEXT"}
NO_PUBLIC_MODELS = "segmind_public: “{name}” has no public models."
MAX_KEY = 255


@api_call("POST", right=Right.TRAIN)
def submit(request: HttpRequest, token: PersonalToken, fields: Fields) -> HttpResponse:
    """docs/provider-api.md, 1, with `provider` and `trainer`. The worker sends the job, once."""
    user = token.owner
    _check_constants(fields)
    public = "segmind_public" in fields and boolean(fields, "segmind_public")
    if public:
        check_right(token, Right.PUBLISH)
    key = services.form_key_for(user, request.headers.get("Idempotency-Key", "")[:MAX_KEY])
    job = access.own_job(user, key)
    if job is None:
        offer = offers.chosen(fields)
        if not offer.connection.takes_jobs:
            raise ApiError(409, closing.refusal(offer.connection))
        if public and not declared.has_visibility(offer.connection):
            raise ApiError(422, NO_PUBLIC_MODELS.format(name=offer.connection))
        dataset = _dataset(request, token, fields)
        form = training_form(fields, offer=offer, user=user, key=key, dataset=dataset, public=public)
        if not form.is_valid():
            raise ApiError(422, errors_of(form))
        if len(form.job_parameters) > 1:
            raise ApiError(422, "advance_parameters: one learning rate and one number of steps at a time.")
        source_url, (training,) = form.cleaned_data["source_url"], form.job_parameters
        job = services.submit(
            actor=user,
            dataset=dataset,
            source_url=source_url,
            key=key,
            training=training,
            project=form.cleaned_data["project"],
        )
    return JsonResponse(responses.submitted(job))


@api_call("GET", "HEAD", right=Right.READ)
def details(request: HttpRequest, token: PersonalToken, fields: Fields) -> HttpResponse:
    """docs/provider-api.md, 2."""
    job = access.job_to_see(token.owner, _request_id(fields))
    return JsonResponse({"finetune": responses.details(job, base_url(request))})


@api_call("GET", "HEAD", right=Right.READ)
def listing(request: HttpRequest, token: PersonalToken, fields: Fields) -> HttpResponse:
    """docs/provider-api.md, 3: a bare array, all at once."""
    base = base_url(request)
    jobs = access.listed(token.owner).iterator(chunk_size=1000)
    return JsonResponse([responses.listed(job, base) for job in jobs], safe=False)


@api_call("GET", right=Right.TRAIN)
def presigned_url(request: HttpRequest, token: PersonalToken, fields: Fields) -> HttpResponse:
    """docs/provider-api.md, 4. Changes nothing: the upload itself creates the dataset (upload.py)."""
    name = text(fields, "name").replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".zip")[:200]
    grant = UploadGrant(uuid.uuid4(), token.pk, f"{name or 'dataset'}.zip")
    base = base_url(request)
    s3_url = upload_urls.s3_url(base, grant.key, grant.filename)
    return JsonResponse({"presigned_url": upload_urls.presigned_url(base, grant), "s3_url": s3_url})


@api_call("PUT", right=Right.PUBLISH)
def access_update(request: HttpRequest, token: PersonalToken, fields: Fields) -> HttpResponse:
    """docs/provider-api.md, 5: the answer is the number 200."""
    job = access.job_to_change(token.owner, _request_id(fields))
    set_public(job, public=boolean(fields, "segmind_public"), actor=token.owner)
    return JsonResponse(200, safe=False)


@api_call("GET", right=Right.DOWNLOAD)
def download(request: HttpRequest, token: PersonalToken, fields: Fields) -> HttpResponse:
    """docs/provider-api.md, 6: the answer is the bare URL."""
    job = access.job_with_model(token.owner, text(fields, "cloud_storage_url"))
    link = urljoin(base_url(request), download_link(job, actor=token.owner))
    return HttpResponse(link, content_type=PLAIN)


@api_call("GET", "HEAD", right=Right.READ)
def balance(request: HttpRequest, token: PersonalToken, fields: Fields) -> HttpResponse:
    """The balance of the default connection when the worker last asked."""
    credits = connections.default().credits
    if credits is None:
        raise ApiError(503, "The balance is not known yet. Ask again in a minute.")
    return JsonResponse({"credits": credits, "free-credits": 0})


@api_call("GET", "HEAD", right=Right.READ)
def trainers(request: HttpRequest, token: PersonalToken, fields: Fields) -> HttpResponse:
    """What a submit can ask for. The vendor has no such call."""
    return JsonResponse([responses.trainer(offer) for offer in offers.offers()], safe=False)


def base_url(request: HttpRequest) -> str:
    """The portal's public address; without PORTAL_URL, the one that this caller uses.

    A proxy may hide host, port and path of the public address from the portal.
    """
    if settings.PORTAL_URL != settings.WEB_URL:
        return str(settings.PORTAL_URL)
    return f"{request.scheme}://{request.get_host()}"


def _request_id(fields: Fields) -> str:
    """The id of a job, which submit and the list call finetune_id."""
    return text(fields, "request_id" if "request_id" in fields else "finetune_id")


def _check_constants(fields: Fields) -> None:
    """Reject what would start another kind of training, and text fields that hold something else."""
    for name, only in KONTEXT.items() if offers.is_in_vendors_words(fields) else ():
        if text(fields, name).upper() != only:
            raise ApiError(422, f"{name} must be {only}: this portal trains FLUX.1 Kontext LoRAs.")
    for name in ("name", "instance_prompt", "machine_type"):
        if fields.get(name):
            text(fields, name)
    if fields.get("machine_type"):
        fields["machine_type"] = fields["machine_type"].upper()


def _dataset(request: HttpRequest, token: PersonalToken, fields: Fields) -> Dataset | None:
    """The dataset that one of the portal's own URLs names, or its repaired copy; None for a URL elsewhere."""
    key = upload_urls.dataset_key(text(fields, "data_source_path"))
    if key is None:
        return None
    dataset = datasets.visible(token.owner).filter(key=key, deleted_at=None).first()
    if dataset is None:
        sentence = "data_source_path: there is no ZIP at this URL. PUT it to the presigned_url first."
        raise ApiError(422, sentence)
    if not dataset.is_rejected:
        return dataset
    if copy := repairs.chosen_copy(dataset, fields, actor=token.owner):
        return copy
    if copy := datasets.repaired_copy(token.owner, dataset):
        return copy
    page = f"{base_url(request)}{reverse('datasets:detail', args=[dataset.pk])}"
    then = f" Its page is {page}; then submit this URL again." if dataset.needs_repair else ""
    raise ApiError(422, f"data_source_path: {dataset.refusal}{then}{repairs.offer(dataset)}")
