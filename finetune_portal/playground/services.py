"""The deeds of the playground that people ask for: run, the same without the LoRA, run again, delete."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.jobs.models import Job
from finetune_portal.playground import access, choices, inputs, results
from finetune_portal.playground.models import Input, Trial
from finetune_portal.web.errors import ActionFailed

FULL = f"{choices.MOST_WAITING} of your runs wait at most. Let some of them finish, then run this."
State = Trial.State


def run(
    *,
    actor: User,
    jobs: list[Job],
    brought: Input,
    form_key: uuid.UUID,
    with_base: bool = False,
    **settings: Any,
) -> list[Trial]:
    """A run of each job with these `settings`, and one of the base model. The same form twice is one."""
    orders = [(job, settings["strength"]) for job in jobs]
    if with_base:
        orders.insert(0, (jobs[0], 0.0))
    wanted = {uuid.uuid5(form_key, f"{job.pk} {strength}"): (job, strength) for job, strength in orders}
    with transaction.atomic():
        there = {trial.key: trial for trial in Trial.objects.filter(key__in=wanted, owner=actor)}
        _check(actor, [job for key, (job, _) in wanted.items() if key not in there])
        together = form_key if len(wanted) > 1 else None
        return [
            there.get(key)
            or _order(
                actor,
                job,
                key=key,
                input=brought,
                together=together,
                **{**settings, "strength": strength},
            )
            for key, (job, strength) in wanted.items()
        ]


def without_lora(trial: Trial, *, actor: User) -> Trial:
    """The same by the base model, to stand beside it."""
    with transaction.atomic():
        there = Trial.objects.filter(partner=trial).first()
        if there or trial.is_base:
            return there or trial
        _check(actor, [trial.job])
        same = {name: getattr(trial, name) for name in ("input", "prompt", "seed", "steps", "guidance")}
        return _order(actor, trial.job, partner=trial, strength=0.0, **same)


def run_again(trial: Trial, *, actor: User) -> None:
    """A person decides to, knowing that one whose answer was lost may be paid twice."""
    with transaction.atomic():
        _check(actor, [trial.job])
        again = {
            "state": State.QUEUED,
            "due": now(),
            "created": now(),
            "attempts": 0,
            "error": "",
            "detail": "",
        }
        if not Trial.objects.filter(pk=trial.pk, state__in=(State.FAILED, State.UNCONFIRMED)).update(**again):
            raise ActionFailed("It has moved on: there is nothing to run again.")
        record(actor, "model.run-again", trial.job, name=trial.job.name, seed=trial.seed)


def delete(trial: Trial, *, actor: User) -> None:
    """Its base picture goes with it, and the input with the last that used it."""
    base = Trial.objects.filter(partner=trial).first()
    with transaction.atomic():
        record(actor, "model.forget-run", trial.job, name=trial.job.name, prompt=trial.prompt[:200])
        trial.delete()
    for each in (trial, base):
        if each is not None:
            results.forget(each)
    inputs.forget(trial.input)


def _check(actor: User, jobs: list[Job]) -> None:
    for job in jobs:
        if not access.is_trained(job):
            raise ActionFailed(f"“{job.name}” is not ready, so it cannot be run yet.")
        if sentence := access.why_not(job):
            raise ActionFailed(sentence)
    waiting = Trial.objects.filter(owner=actor, state__in=(State.QUEUED, State.RUNNING)).count()
    if jobs and waiting + len(jobs) > choices.MOST_WAITING:
        raise ActionFailed(FULL)


def _order(actor: User, job: Job, **fields: Any) -> Trial:
    trial = Trial.objects.create(owner=actor, job=job, connection=job.connection, **fields)
    what = {"name": job.name, "prompt": trial.prompt[:200]}
    record(actor, "model.run", job, strength=trial.strength, seed=trial.seed, **what)
    return trial
