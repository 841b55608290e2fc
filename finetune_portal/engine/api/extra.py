"""The engine's additions to the vendor's API: progress, samples, cancelling, deleting.

All of them lie under `/extra`, where a client asks first which of them there are.
"""

from __future__ import annotations

from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils import timezone

from finetune_portal.engine import deletion, progress, runner, states
from finetune_portal.engine.api.endpoint import ApiError, Fields, endpoint, number, text
from finetune_portal.engine.api.finetune import job_of
from finetune_portal.engine.models import Job
from finetune_portal.engine.storage import keys
from finetune_portal.engine.trainers import parameters
from finetune_portal.engine.trainers.children import log_lines
from finetune_portal.engine.trainers.current import current_trainer
from finetune_portal.engine.trainers.model_folder import BaseModel
from finetune_portal.engine.trainers.trainer import KONTEXT, find_model

VERSION = 1
ALWAYS = ("progress", "cancel", "delete")
LOG_LINES = 40
WHERE_IT_TRAINS = ("losses", "samples")


@endpoint("GET", "HEAD")
def capabilities(request: HttpRequest, fields: Fields) -> HttpResponse:
    trainer = current_trainer()
    can = [*ALWAYS]
    if not trainer.is_simulated:
        can += WHERE_IT_TRAINS
    if trainer.image_generator:
        can.append("run")
    first = find_model(trainer.models, KONTEXT) or next(iter(trainer.models), None)
    return JsonResponse(
        {
            "version": VERSION,
            "can": can,
            "places": trainer.slots,
            "parameters": list(first.parameters if first else parameters.KNOWN),
            "trainers": [_offer(model) for model in trainer.models],
            **trainer.about(first.variant.id if first else ""),
        }
    )


def _offer(model: BaseModel) -> dict[str, Any]:
    """A base model by the `id` that a submit names as its base_model; each parameter with its default."""
    return {
        "id": model.variant.id,
        "title": model.variant.title,
        "base_model": model.name,
        "tiny_model": model.is_tiny,
        "licence": model.variant.licence,
        "most_inputs": model.layout.most_inputs,
        "parameters": {name: known.default for name, known in model.parameters.items()},
    }


@endpoint("GET", "HEAD", "POST")
def progress_of(request: HttpRequest, fields: Fields) -> HttpResponse:
    job = job_of(fields)
    work = progress.folder(job.pk)
    training = progress.read(work)
    latest = training.latest
    return JsonResponse(
        {
            "finetune_id": str(job.pk),
            "status": job.state,
            "percent": _percent(job, int(latest.get("step", 0))),
            "step": latest.get("step"),
            "steps": job.steps,
            "ahead": _ahead(job),
            "seconds_left": latest.get("seconds_left") if job.state == states.TRAINING_INITIATED else None,
            "memory_bytes": latest.get("memory_bytes"),
            "loss": training.losses,
            "held_out": {
                "pair": training.started.get("held_out"),
                "trained_on": not training.started.get("is_held_out", True),
                "loss": training.held_out,
                "weighted_loss": training.held_out_weighted,
            },
            "samples": [step for step, _file in training.samples],
            "phase": training.phase if job.state == states.TRAINING_INITIATED else "",
            "log": log_lines(work / progress.LOG, LOG_LINES),
        }
    )


@endpoint("GET", "HEAD")
def sample(request: HttpRequest, fields: Fields) -> HttpResponseBase:
    """A PNG of the validation pair: the sample of a `step`, or with `of` its control or target."""
    work = progress.folder(job_of(fields).pk)
    if fields.get("of") in ("control", "target"):
        name = f"{fields['of']}.png"
    else:
        name = dict(progress.read(work).samples).get(int(number(fields, "step", -1)), "")
    if not name or not (work / name).is_file():
        raise ApiError(404, "There is no such sample.")
    return FileResponse((work / name).open("rb"), content_type="image/png")


@endpoint("POST")
def cancel(request: HttpRequest, fields: Fields) -> HttpResponse:
    """End the training as FAILED with the message "Cancelled."; its credits are not paid back."""
    job = job_of(fields)
    running = Job.objects.filter(pk=job.pk, due_at__isnull=False).exclude(state__in=states.WITH_WEIGHTS)
    if not running.update(is_cancelled=True, due_at=timezone.now()):
        raise ApiError(409, "The training is over: there is nothing to cancel.")
    runner.poller.wake()
    return JsonResponse({"finetune_id": str(job.pk), "cancelled": True})


@endpoint("POST")
def delete(request: HttpRequest, fields: Fields) -> HttpResponse:
    """Delete an ended job with all of its files, or the `file` at an address of this storage."""
    try:
        if "file" not in fields:
            job = job_of(fields)
            deletion.delete_job(job)
            return JsonResponse({"finetune_id": str(job.pk), "deleted": True})
        key = keys.from_url(text(fields, "file", longest=2000))
        if not (keys.UPLOAD.fullmatch(key) or keys.ASSET.fullmatch(key)):
            raise ApiError(404, "There is no such dataset or input image here.")
        deletion.delete_file(key)
        return JsonResponse({"deleted": True})
    except deletion.NotEndedError:
        raise ApiError(409, "The job has not ended: cancel it first.") from None


def _percent(job: Job, step: int) -> float | None:
    """Percent of the training itself. A simulated one only waits, so its time counts."""
    if job.state in states.WITH_WEIGHTS:
        return 100.0
    if job.state != states.TRAINING_INITIATED:
        return None
    if current_trainer().is_simulated and job.due_at:
        whole = (job.due_at - job.updated_at).total_seconds()
        elapsed = (timezone.now() - job.updated_at).total_seconds()
        return round(min(99.0, 100 * elapsed / max(whole, 0.001)), 1)
    return round(100 * step / job.steps, 1)


def _ahead(job: Job) -> int | None:
    """How many trainings must end before this one has a slot; 0 once it has."""
    if job.state != states.TRAINING_INITIATED:
        return None
    trainer = current_trainer()
    before = Job.objects.filter(state=job.state, due_at__lt=job.due_at).count()
    return 0 if trainer.is_simulated else max(0, before + 1 - trainer.slots)
