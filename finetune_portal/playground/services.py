"""What people do in the playground: run models, add the picture without the LoRA, run again, delete."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.costs import budgets
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.services import MODEL_DELETED, note_pictures
from finetune_portal.playground import access, choices, costs, inputs, results
from finetune_portal.playground.bounds import one_of_each_base, taken_by
from finetune_portal.playground.models import Generation, Input
from finetune_portal.web.errors import ActionError

TOO_MANY = f"You can have {choices.MOST_WAITING} runs waiting. Let some of them finish, then run this."
State = Generation.State


class TooManyWaitingError(ActionError):
    """The person has as many runs waiting as a person may have."""


def run(
    *,
    actor: User,
    jobs: list[Job],
    image: Input,
    form_key: uuid.UUID,
    with_base: bool = False,
    **settings: Any,
) -> list[Generation]:
    """Queue one generation of each job with these `settings`, and one of each base model.

    The keys are derived from `form_key`, so that a form sent twice makes the same generations.
    """
    by_key = _runs_of(jobs, form_key, settings["strength"], with_base=with_base)
    fields = {**settings, "input": image, "batch": form_key if len(by_key) > 1 else None}
    with transaction.atomic():
        _lock(jobs)
        existing = _check_new(actor, by_key)
        budgets.lock(actor, [(job.connection, job.project) for job in jobs])
        return [
            existing.get(key) or _create(actor, job, key=key, **{**fields, "strength": strength})
            for key, (job, strength) in by_key.items()
        ]


def run_one(*, actor: User, job: Job, image: Input, key: uuid.UUID, **settings: Any) -> Generation:
    """Queue one generation by its key, or return the person's own of this key. Raises ActionError.

    It is for calls of the API, of whose content the record has nothing.
    """
    own = Generation.objects.filter(key=key, owner=actor)
    if made := own.first():
        return made
    try:
        with transaction.atomic():
            _lock([job])
            _check(actor, [job])
            return _create(actor, job, with_prompt=False, key=key, input=image, **settings)
    except IntegrityError:  # the same call came a moment before
        return own.get()


def run_by_itself(*, owner: User, job: Job, image: Input, key: uuid.UUID, **settings: Any) -> None:
    """Queue one generation in the name of `owner`; the record says that the portal did.

    One that there is by this key stays. Raises ActionError.
    """
    with transaction.atomic():
        _lock([job])
        if not Generation.objects.filter(key=key).exists():
            _check(owner, [job])
            _create(owner, job, key=key, input=image, is_automatic=True, **settings)


def check_one(*, actor: User, job: Job) -> None:
    """Raise the ActionError that `run_one` would raise for a new key."""
    _check(actor, [job])


def keep_input(image: Input, *, actor: User) -> None:
    """Keep an uploaded picture for a day from now, to be named in runs."""
    with transaction.atomic():
        Input.objects.filter(pk=image.pk).update(created_at=now())
        record(actor, "picture.upload", image)


def check(
    *, actor: User, jobs: list[Job], form_key: uuid.UUID, strength: float, with_base: bool = False, **_: Any
) -> None:
    """Raise the ActionError that `run` would raise for the same arguments."""
    _check_new(actor, _runs_of(jobs, form_key, strength, with_base=with_base))


def without_lora(generation: Generation, *, actor: User) -> Generation:
    """Queue the same generation by the base model, to compare the two."""
    with transaction.atomic():
        baseline = Generation.objects.filter(compare_to=generation).first()
        if baseline or generation.is_base:
            return baseline or generation
        _lock([generation.job])
        _check(actor, [generation.job])
        same = {name: getattr(generation, name) for name in ("input", "prompt", "seed", "steps", "guidance")}
        return _create(actor, generation.job, compare_to=generation, strength=0.0, **same)


def run_again(generation: Generation, *, actor: User) -> None:
    """Queue a failed generation again. If its answer was lost, the person accepts that it may cost twice."""
    with transaction.atomic():
        _check(actor, [generation.job])
        rows = Generation.objects.filter(pk=generation.pk, state__in=(State.FAILED, State.UNCONFIRMED))
        initial = {"attempts": 0, "error": "", "detail": ""}
        if not rows.update(state=State.QUEUED, due_at=now(), created_at=now(), **initial):
            raise ActionError("The run has moved on: there is nothing to run again.")
        costs.reserve(generation, actor)
        record(actor, "model.run-again", generation.job, name=generation.job.name, seed=generation.seed)


def delete(generation: Generation, *, actor: User) -> None:
    """Delete a generation, its baseline, and its input if no other generation uses that.

    What one that is made at the moment costs is unconfirmed from now on: the worker that has it says more, or
    it is dead, and then nobody does.
    """
    baseline = Generation.objects.filter(compare_to=generation).first()
    with transaction.atomic():
        note_pictures(generation.job)  # first: a job is locked before its runs everywhere
        details = {"name": generation.job.name, "prompt": generation.prompt[:200]}
        record(actor, "model.forget-run", generation.job, **details)
        both = Generation.objects.filter(Q(pk=generation.pk) | Q(compare_to=generation))
        for each in both.select_for_update().order_by("pk"):  # as they are now
            if each.state == State.QUEUED:
                costs.release(each)
            elif each.state == State.RUNNING:
                costs.doubt(each)
        generation.delete()
    results.delete(generation)
    if baseline is not None:
        results.delete(baseline)
    inputs.delete_unused(generation.input)


Runs = dict[uuid.UUID, tuple[Job, float]]  # job and strength, by the key of the generation


def _runs_of(jobs: list[Job], form_key: uuid.UUID, strength: float, *, with_base: bool) -> Runs:
    runs = [(job, strength) for job in jobs]
    if with_base:
        runs = [*((job, 0.0) for job in one_of_each_base(jobs)), *runs]
    return {uuid.uuid5(form_key, f"{job.pk} {strength}"): (job, strength) for job, strength in runs}


def _check_new(actor: User, runs: Runs) -> dict[uuid.UUID, Generation]:
    """The generations that there are by these keys, when all others may be made. Raises ActionError."""
    existing = {each.key: each for each in Generation.objects.filter(key__in=runs, owner=actor)}
    _check(actor, [job for key, (job, _) in runs.items() if key not in existing])
    return existing


def _lock(jobs: list[Job]) -> None:
    """Lock the jobs before the budgets. Raises ActionError where one, or its model, was deleted meanwhile."""
    keys = {job.pk for job in jobs}
    rows = (
        Job.objects.select_for_update(no_key=True).filter(pk__in=keys, model_deleted_at=None).order_by("pk")
    )
    if len(rows.values_list("pk")) < len(keys):
        raise ActionError(MODEL_DELETED)


def _check(actor: User, jobs: list[Job]) -> None:
    if sentence := access.why_not_together(jobs):
        raise ActionError(sentence)
    for job in jobs:
        if not access.is_trained(job):
            raise ActionError(f"“{job.name}” is not ready, so it cannot be run yet.")
        if sentence := access.why_not(job):
            raise ActionError(sentence)
    waiting = Generation.objects.filter(owner=actor, state__in=access.WAITING).count()
    if jobs and waiting + len(jobs) > choices.MOST_WAITING:
        raise TooManyWaitingError(TOO_MANY)


def _create(actor: User, job: Job, *, with_prompt: bool = True, **fields: Any) -> Generation:
    """Leave out the numbers that only other models of the same comparison take."""
    fields |= {name: None for name in ("steps", "guidance") if name not in taken_by(job)}
    generation = Generation.objects.create(owner=actor, job=job, connection=job.connection, **fields)
    costs.reserve(generation, actor)
    details = {"name": job.name} | ({"prompt": generation.prompt[:200]} if with_prompt else {})
    who = None if generation.is_automatic else actor
    record(who, "model.run", job, strength=generation.strength, seed=generation.seed, **details)
    return generation
