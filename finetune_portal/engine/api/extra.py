"""What this engine can beyond the vendor's API: tell how far a training is, show samples, cancel.

All of it lies under `/extra`; a program asks there first whether it is to be had.
"""

from __future__ import annotations

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils import timezone

from finetune_portal.engine import progress, runner, states
from finetune_portal.engine.api.calls import Fields, Refused, endpoint, number
from finetune_portal.engine.api.finetune import job_of
from finetune_portal.engine.models import Job
from finetune_portal.engine.trainers import current, parameters

VERSION = 1
ALWAYS = ("progress", "cancel")
WHERE_IT_TRAINS = ("losses", "samples")


@endpoint("GET", "HEAD")
def abilities(request: HttpRequest, fields: Fields) -> HttpResponse:
    trainer = current()
    can = [*ALWAYS, *(() if trainer.simulated else WHERE_IT_TRAINS), *(["run"] if trainer.painter else [])]
    told = {"can": can, "places": trainer.places, "parameters": list(parameters.KNOWN), **trainer.about()}
    return JsonResponse({"version": VERSION, **told})


@endpoint("GET", "HEAD", "POST")
def progress_of(request: HttpRequest, fields: Fields) -> HttpResponse:
    job = job_of(fields)
    training = progress.read(progress.folder(job.pk))
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
            },
            "samples": [step for step, _file in training.samples],
        }
    )


@endpoint("GET", "HEAD")
def sample(request: HttpRequest, fields: Fields) -> HttpResponseBase:
    """A picture of the held-out pair: of a `step`, or `of` it the control or the target."""
    work = progress.folder(job_of(fields).pk)
    if fields.get("of") in ("control", "target"):
        name = f"{fields['of']}.png"
    else:
        name = dict(progress.read(work).samples).get(int(number(fields, "step", -1)), "")
    if not name or not (work / name).is_file():
        raise Refused(404, "There is no such sample.")
    return FileResponse((work / name).open("rb"), content_type="image/png")


@endpoint("POST")
def cancel(request: HttpRequest, fields: Fields) -> HttpResponse:
    """The training ends as FAILED with the message "Cancelled."; its credits are not paid back."""
    job = job_of(fields)
    going = Job.objects.filter(pk=job.pk, due__isnull=False).exclude(state__in=states.WITH_WEIGHTS)
    if not going.update(cancelled=True, due=timezone.now()):
        raise Refused(409, "The training is over: there is nothing to cancel.")
    runner.bell.set()
    return JsonResponse({"finetune_id": str(job.pk), "cancelled": True})


def _percent(job: Job, step: int) -> float | None:
    """Of the training itself; the simulated one waits its time, and that is what it can tell."""
    if job.state in states.WITH_WEIGHTS:
        return 100.0
    if job.state != states.TRAINING_INITIATED:
        return None
    if current().simulated and job.due:
        whole = (job.due - job.changed).total_seconds()
        return round(min(99.0, 100 * (timezone.now() - job.changed).total_seconds() / max(whole, 0.001)), 1)
    return round(100 * step / job.steps, 1)


def _ahead(job: Job) -> int | None:
    """How many trainings must end before this one has a place; 0 once it has."""
    if job.state != states.TRAINING_INITIATED:
        return None
    before = Job.objects.filter(state=job.state, due__lt=job.due).count()
    return 0 if current().simulated else max(0, before + 1 - current().places)
