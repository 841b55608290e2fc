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
from finetune_portal.engine.api import answers
from finetune_portal.engine.api.calls import Fields, Refused, boolean, endpoint, text
from finetune_portal.engine.api.submission import new_job
from finetune_portal.engine.models import Job
from finetune_portal.engine.storage import keys, signing

LOST_ANSWER = "<html><head><title>500</title></head><body><h1>Internal Server Error</h1></body></html>"


@endpoint("POST")
def submit(request: HttpRequest, fields: Fields) -> HttpResponse:
    """docs/provider-api.md, 1."""
    job = new_job(fields)
    scenario = scenarios.of(job.name)
    if scenarios.refuses_now(scenario, job.name):
        raise _refusal(scenario)
    job.base_url = _base_url(request)
    job.due = timezone.now() + timedelta(seconds=runner.seconds_in(job, scenario))
    with transaction.atomic():  # IMMEDIATE: no second submit can spend the same credits
        left = _credits() - job.price
        if left < 0:
            raise Refused(406, "Insufficient credits")
        job.save(force_insert=True)
    runner.bell.set()
    if scenario.loses_answer:
        return HttpResponse(LOST_ANSWER, status=500)
    return JsonResponse(answers.submitted(job), headers={"x-remaining-credits": f"{left:g}"})


@endpoint("GET", "HEAD", "POST")
def details(request: HttpRequest, fields: Fields) -> HttpResponse:
    """docs/provider-api.md, 2."""
    return JsonResponse({"finetune": answers.details(job_of(fields), _base_url(request))})


@endpoint("GET", "HEAD")
def listing(request: HttpRequest, fields: Fields) -> HttpResponse:
    """docs/provider-api.md, 3: a bare array, everything at once. Newest first."""
    found = Job.objects.order_by("-created").iterator()
    return JsonResponse([answers.listed(job) for job in found], safe=False)


@endpoint("GET", "POST")
def presigned_url(request: HttpRequest, fields: Fields) -> HttpResponse:
    """docs/provider-api.md, 4."""
    key = keys.new_upload(text(fields, "name", longest=255))
    s3_url = keys.url(_base_url(request), key)
    query = signing.upload_query(settings.SECRET_KEY, key, timezone.now(), settings.URL_SECONDS)
    return JsonResponse({"presigned_url": f"{s3_url}?{query}", "s3_url": s3_url})


@endpoint("PUT", "POST", "PATCH")
def access_update(request: HttpRequest, fields: Fields) -> HttpResponse:
    """docs/provider-api.md, 5: the answer is the number 200 and nothing else."""
    job = job_of(fields)
    public = boolean(fields, "segmind_public")
    Job.objects.filter(pk=job.pk).update(public=public, changed=timezone.now())
    return JsonResponse(200, safe=False)


@endpoint("GET", "HEAD", "POST")
def download(request: HttpRequest, fields: Fields) -> HttpResponse:
    """docs/provider-api.md, 6: the answer is the bare URL."""
    key = keys.from_url(text(fields, "cloud_storage_url", longest=2000))
    if not key or not Job.objects.filter(weights=key).exists():
        raise Refused(404, "cloud_storage_url is not the address of a fine-tuned model here.")
    query = signing.download_query(settings.SECRET_KEY, key, timezone.now(), settings.URL_SECONDS)
    return HttpResponse(f"{keys.url(_base_url(request), key)}?{query}", content_type="text/plain")


@endpoint("GET", "HEAD")
def balance(request: HttpRequest, fields: Fields) -> HttpResponse:
    """GET /v1/get-user-credits (docs/provider-api.md, 11.3): mind the hyphen in the second key."""
    left = round(_credits(), 4)
    return JsonResponse({"credits": left, "free-credits": 0}, headers={"x-remaining-credits": f"{left:g}"})


def _credits() -> float:
    """The grant less every accepted training: the jobs are the ledger."""
    spent = Job.objects.aggregate(Sum("price"))["price__sum"] or 0.0
    return float(settings.CREDITS - spent)


def job_of(fields: Fields) -> Job:
    """The job that `request_id` names; submit and the list call the same thing finetune_id."""
    name = "request_id" if "request_id" in fields else "finetune_id"
    if name not in fields:
        raise Refused(422, "request_id is missing.")
    asked = text(fields, name, longest=100)
    try:
        return Job.objects.get(pk=uuid.UUID(asked))
    except (ValueError, Job.DoesNotExist):
        raise Refused(404, "There is no fine-tune request with this request_id.") from None


def _base_url(request: HttpRequest) -> str:
    return f"{request.scheme}://{request.get_host()}"


def _refusal(scenario: scenarios.Scenario) -> Refused:
    note = f" (The name of the job asks for this: {scenario.word}.)"
    if scenario.refuses == 406:
        return Refused(406, "Insufficient credits")  # clients compare this very text
    if scenario.refuses == 429:
        return Refused(429, f"Too many requests.{note}", {"Retry-After": "1"})
    return Refused(scenario.refuses, f"Fine-tuning is closed to new requests.{note}")
