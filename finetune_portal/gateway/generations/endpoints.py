"""Run a finished model with a personal token, as at the vendor (docs/provider-api.md, 13), at every provider.

A run is a generation of the playground: the worker makes it by one request, and a lost answer is never sent
again. The call waits for it without a thread (web/awaited.py), at most RUN_WAIT_SECONDS.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from finetune_portal.accounts.models import User
from finetune_portal.gateway import access, services
from finetune_portal.gateway.api_call import ApiError, Fields, api_call, error, text
from finetune_portal.gateway.endpoints import MAX_KEY, base_url
from finetune_portal.gateway.generations import inputs, responses
from finetune_portal.gateway.generations.forms import INPUT, checked_settings, has_seed, is_same
from finetune_portal.gateway.generations.responses import Urls
from finetune_portal.gateway.generations.watcher import watcher
from finetune_portal.gateway.models import PersonalToken, Right
from finetune_portal.jobs.models import Job
from finetune_portal.playground import services as playground
from finetune_portal.playground.inputs import InvalidPictureError
from finetune_portal.playground.models import Generation, Input
from finetune_portal.web.awaited import AwaitedResponse
from finetune_portal.web.shared_cache import count

MAX_BODY = 20 * 1024**2  # a picture of 12 MB in base64, and some text
MAX_ASSETS = 10
OTHER_RUN = "This Idempotency-Key belongs to a run with other fields. Nothing was started."
TOO_MANY = "You may start {number} runs a minute. Nothing was started."

Shown = Callable[[Generation, Urls], HttpResponse]


@api_call("POST", right=Right.RUN, largest=MAX_BODY)
def run(request: HttpRequest, token: PersonalToken, fields: Fields, *, slug: str) -> HttpResponse:
    """Answer with the picture, or with JSON where only that is accepted; 202 if it takes longer."""
    generation = _generation(request, token, fields, slug)
    urls = Urls.of(generation, base_url(request), token.owner)
    only_json = request.accepts("application/json") and not request.accepts("image/png")
    shown: Shown = responses.result if only_json else responses.picture

    def respond() -> HttpResponse:
        return _current(generation, urls, shown, token.owner)

    if not generation.is_active:
        return respond()
    return AwaitedResponse(
        responses.submitted(generation, urls),
        status=202,
        headers={"Location": urls.run},
        wait=lambda: watcher.wait(generation.pk),
        respond=respond,
        seconds=settings.RUN_WAIT_SECONDS,
    )


@api_call("POST", right=Right.RUN, largest=MAX_BODY)
def submit(request: HttpRequest, token: PersonalToken, fields: Fields, *, slug: str) -> HttpResponse:
    """Start a run and answer at once with where to ask for it."""
    generation = _generation(request, token, fields, slug)
    return JsonResponse(responses.submitted(generation, Urls.of(generation, base_url(request), token.owner)))


@api_call("GET", "HEAD", right=Right.READ)
def status(request: HttpRequest, token: PersonalToken, fields: Fields, *, key: uuid.UUID) -> HttpResponse:
    generation = access.generation_to_see(token.owner, key)
    return responses.status(generation, Urls.of(generation, base_url(request), token.owner))


@api_call("GET", "HEAD", right=Right.READ)
def result(request: HttpRequest, token: PersonalToken, fields: Fields, *, key: uuid.UUID) -> HttpResponse:
    generation = access.generation_to_see(token.owner, key)
    return responses.result(generation, Urls.of(generation, base_url(request), token.owner))


@login_not_required
@require_safe
def output(request: HttpRequest, key: uuid.UUID, kind: str) -> HttpResponse:
    """The picture, for whoever has its signed URL, which a program that shows it needs no token for."""
    user = responses.user_of(str(key), request.GET.get("signature", ""))
    if user is None:
        return error(403, "This URL is wrong or older than an hour. Ask for the run again.")
    rows = access.generations(user).filter(key=key, kind=kind, state=Generation.State.DONE)
    generation = rows.first()
    if generation is None or not generation.path.exists():
        return error(404, responses.NOT_STORED)
    return HttpResponse(responses.content(generation), content_type=f"image/{kind}")


@api_call("POST", right=Right.RUN, largest=MAX_BODY)
def upload_asset(request: HttpRequest, token: PersonalToken, fields: Fields) -> HttpResponse:
    """Keep pictures, to be named in runs. All of them or an error."""
    uris = fields.get("data_urls")
    if not isinstance(uris, list) or not 1 <= len(uris) <= MAX_ASSETS:
        raise ApiError(422, f"data_urls must be a list of 1 to {MAX_ASSETS} data: URIs.")
    try:
        images = [inputs.from_data(str(uri), token.owner) for uri in uris]
    except InvalidPictureError as exc:
        raise ApiError(422, f"data_urls: {exc}") from None
    for image in images:
        playground.keep_input(image, actor=token.owner)
    urls = [inputs.asset_url(base_url(request), image) for image in images]
    return JsonResponse({"file_urls": urls, "message": "Files uploaded."})


def _generation(request: HttpRequest, token: PersonalToken, fields: Fields, slug: str) -> Generation:
    """The new generation that a call asks for, or the one that it repeats."""
    user = token.owner
    job = access.job_to_run(user, slug)
    values, address = checked_settings(fields, job), text(fields, INPUT)
    idempotency_key = request.headers.get("Idempotency-Key", "")[:MAX_KEY]
    key = services.form_key_for(user, f"run {idempotency_key}" if idempotency_key else "")
    repeated = access.own_generation(user, key)
    if repeated is None:  # before a picture is decoded in vain
        _throttle(user)
        playground.check_one(actor=user, job=job)
    if repeated is not None and inputs.is_elsewhere(address):
        image = repeated.input  # the address may lead nowhere by now, and the run is wanted
    else:
        image = inputs.from_address(address, user, job)
    repeated = repeated or _equal(user, job, image, values, fields)
    generation = repeated or playground.run_one(actor=user, job=job, image=image, key=key, **values)
    is_of_call = generation.job_id == job.pk and generation.input.sha256 == image.sha256
    if not (is_of_call and is_same(generation, values, fields)):
        raise ApiError(422, OTHER_RUN)
    return generation


def _throttle(user: User) -> None:
    """Limit the runs of a person per minute, over all tokens and processes."""
    minute, second = divmod(int(time.time()), 60)
    if count(f"runs:{user.pk}:{minute}", seconds=120) > settings.RUNS_A_MINUTE:
        sentence = TOO_MANY.format(number=settings.RUNS_A_MINUTE)
        raise ApiError(429, sentence, {"Retry-After": str(60 - second)})


def _equal(user: User, job: Job, image: Input, values: dict[str, Any], fields: Fields) -> Generation | None:
    """An equal run of the last RUN_REUSE_SECONDS. Without a seed a call wants a picture of its own."""
    if not (settings.RUN_REUSE_SECONDS and has_seed(fields)):
        return None
    since = now() - timedelta(seconds=settings.RUN_REUSE_SECONDS)
    return access.equal_generation(user, since, job=job, input__sha256=image.sha256, **values)


def _current(generation: Generation, urls: Urls, shown: Shown, user: User) -> HttpResponse:
    """The answer by the row as it is now, which may be deleted."""
    try:
        generation = access.generations(user).get(pk=generation.pk)
        return shown(generation, urls)
    except Generation.DoesNotExist:
        return error(404, "This run was deleted.")
    except ApiError as exc:
        return error(exc.status, str(exc))
