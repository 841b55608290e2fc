"""The six endpoints of docs/provider-api.md and the balance, on their exact paths."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from finetune_portal.engine import runner, scenarios
from finetune_portal.engine.api import responses
from finetune_portal.engine.api.endpoint import ApiError, Fields, boolean, endpoint, text
from finetune_portal.engine.api.submission import new_job
from finetune_portal.engine.models import Job
from finetune_portal.engine.storage import keys, signing

LOST_RESPONSE = "<html><head><title>500</title></head><body><h1>Internal Server Error</h1></body></html>"


@endpoint("POST")
def submit(request: HttpRequest, fields: Fields) -> HttpResponse:
    """Start a job (docs/provider-api.md, 1)."""
    job = new_job(fields)
    scenario = scenarios.of(job.name)
    if scenarios.refuses_now(scenario, job.name):
        raise _refusal(scenario)
    job.base_url = _base_url(request)
    job.due_at = timezone.now() + timedelta(seconds=runner.seconds_in(job, scenario))
    with transaction.atomic():  # IMMEDIATE: no second submit can spend the same credits
        left = _credits() - job.price
        if left < 0:
            raise ApiError(406, "Insufficient credits")
        job.save(force_insert=True)
    runner.poller.wake()
    if scenario.loses_response:
        return HttpResponse(LOST_RESPONSE, status=500)
    return JsonResponse(responses.submitted(job), headers={"x-remaining-credits": f"{left:g}"})


@endpoint("GET", "HEAD", "POST")
def details(request: HttpRequest, fields: Fields) -> HttpResponse:
    """One job (docs/provider-api.md, 2)."""
    return JsonResponse({"finetune": responses.details(job_of(fields), _base_url(request))})


@endpoint("GET", "HEAD")
def listing(request: HttpRequest, fields: Fields) -> HttpResponse:
    """All jobs as a bare array, newest first (docs/provider-api.md, 3)."""
    jobs = Job.objects.order_by("-created_at").iterator()
    return JsonResponse([responses.listed(job) for job in jobs], safe=False)


@endpoint("GET", "POST")
def presigned_url(request: HttpRequest, fields: Fields) -> HttpResponse:
    """An address to upload a dataset to (docs/provider-api.md, 4)."""
    key = keys.new_upload(text(fields, "name", longest=255))
    s3_url = keys.url(_base_url(request), key)
    query = signing.upload_query(settings.SECRET_KEY, key, timezone.now(), settings.URL_SECONDS)
    return JsonResponse({"presigned_url": f"{s3_url}?{query}", "s3_url": s3_url})


@endpoint("PUT", "POST", "PATCH")
def access_update(request: HttpRequest, fields: Fields) -> HttpResponse:
    """Make a model public or private; the response is the number 200 (docs/provider-api.md, 5)."""
    job = job_of(fields)
    is_public = boolean(fields, "segmind_public")
    Job.objects.filter(pk=job.pk).update(is_public=is_public, updated_at=timezone.now())
    return JsonResponse(200, safe=False)


@endpoint("GET", "HEAD", "POST")
def download(request: HttpRequest, fields: Fields) -> HttpResponse:
    """A signed URL of the weights, as bare text (docs/provider-api.md, 6)."""
    key = keys.from_url(text(fields, "cloud_storage_url", longest=2000))
    if not key or not Job.objects.filter(weights=key).exists():
        raise ApiError(404, "cloud_storage_url is not the address of a fine-tuned model here.")
    query = signing.download_query(settings.SECRET_KEY, key, timezone.now(), settings.URL_SECONDS)
    return HttpResponse(f"{keys.url(_base_url(request), key)}?{query}", content_type="text/plain")


@endpoint("GET", "HEAD")
def balance(request: HttpRequest, fields: Fields) -> HttpResponse:
    """The credits that are left (docs/provider-api.md, 11.3). The second key has a hyphen."""
    left = round(_credits(), 4)
    return JsonResponse({"credits": left, "free-credits": 0}, headers={"x-remaining-credits": f"{left:g}"})


def _credits() -> float:
    """The grant less the price of every accepted job."""
    spent = Job.objects.aggregate(Sum("price"))["price__sum"] or 0.0
    return float(settings.CREDITS - spent)


def job_of(fields: Fields) -> Job:
    """The job that `request_id` names; submit and the list call the same id finetune_id."""
    name = "request_id" if "request_id" in fields else "finetune_id"
    if name not in fields:
        raise ApiError(422, "request_id is missing.")
    try:
        return Job.objects.get(pk=uuid.UUID(text(fields, name, longest=100)))
    except (ValueError, Job.DoesNotExist):
        raise ApiError(404, "There is no fine-tune request with this request_id.") from None


def _base_url(request: HttpRequest) -> str:
    return f"{request.scheme}://{request.get_host()}"


def _refusal(scenario: scenarios.Scenario) -> ApiError:
    note = f" (The name of the job asks for this: {scenario.word}.)"
    if scenario.refuses == 406:
        return ApiError(406, "Insufficient credits")  # clients compare this very text
    if scenario.refuses == 429:
        return ApiError(429, f"Too many requests.{note}", {"Retry-After": "1"})
    return ApiError(scenario.refuses, f"Fine-tuning is closed to new requests.{note}")
