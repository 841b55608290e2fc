"""What people do in the playground: run models, add the picture without the LoRA, run again, delete."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.jobs.models import Job
from finetune_portal.playground import access, choices, inputs, results
from finetune_portal.playground.models import Generation, Input
from finetune_portal.web.errors import ActionError

TOO_MANY = f"You can have {choices.MOST_WAITING} runs waiting. Let some of them finish, then run this."
State = Generation.State


def run(
    *,
    actor: User,
    jobs: list[Job],
    image: Input,
    form_key: uuid.UUID,
    with_base: bool = False,
    **settings: Any,
) -> list[Generation]:
    """Queue one generation of each job with these `settings`, and one of the base model.

    The keys are derived from `form_key`, so that a form sent twice makes the same generations.
    """
    runs = [(job, settings["strength"]) for job in jobs]
    if with_base:
        runs.insert(0, (jobs[0], 0.0))
    by_key = {uuid.uuid5(form_key, f"{job.pk} {strength}"): (job, strength) for job, strength in runs}
    fields = {**settings, "input": image, "batch": form_key if len(by_key) > 1 else None}
    with transaction.atomic():
        rows = Generation.objects.filter(key__in=by_key, owner=actor)
        existing = {generation.key: generation for generation in rows}
        _check(actor, [job for key, (job, _) in by_key.items() if key not in existing])
        return [
            existing.get(key) or _create(actor, job, key=key, **{**fields, "strength": strength})
            for key, (job, strength) in by_key.items()
        ]


def without_lora(generation: Generation, *, actor: User) -> Generation:
    """Queue the same generation by the base model, to compare the two."""
    with transaction.atomic():
        baseline = Generation.objects.filter(compare_to=generation).first()
        if baseline or generation.is_base:
            return baseline or generation
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
        record(actor, "model.run-again", generation.job, name=generation.job.name, seed=generation.seed)


def delete(generation: Generation, *, actor: User) -> None:
    """Delete a generation, its baseline, and its input if no other generation uses that."""
    baseline = Generation.objects.filter(compare_to=generation).first()
    with transaction.atomic():
        details = {"name": generation.job.name, "prompt": generation.prompt[:200]}
        record(actor, "model.forget-run", generation.job, **details)
        generation.delete()
    results.delete(generation)
    if baseline is not None:
        results.delete(baseline)
    inputs.delete_unused(generation.input)


def _check(actor: User, jobs: list[Job]) -> None:
    for job in jobs:
        if not access.is_trained(job):
            raise ActionError(f"“{job.name}” is not ready, so it cannot be run yet.")
        if sentence := access.why_not(job):
            raise ActionError(sentence)
    waiting = Generation.objects.filter(owner=actor, state__in=(State.QUEUED, State.RUNNING)).count()
    if jobs and waiting + len(jobs) > choices.MOST_WAITING:
        raise ActionError(TOO_MANY)


def _create(actor: User, job: Job, **fields: Any) -> Generation:
    generation = Generation.objects.create(owner=actor, job=job, connection=job.connection, **fields)
    details = {"name": job.name, "prompt": generation.prompt[:200]}
    record(actor, "model.run", job, strength=generation.strength, seed=generation.seed, **details)
    return generation
