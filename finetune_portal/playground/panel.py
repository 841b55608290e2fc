"""Template contexts of the playground: of one job, and of several jobs side by side."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet

from finetune_portal.accounts.models import User
from finetune_portal.datasets import previews
from finetune_portal.jobs import access as job_access
from finetune_portal.jobs.models import Job
from finetune_portal.playground import access, bounds, choices, input_choices
from finetune_portal.playground.forms import GenerationForm
from finetune_portal.playground.models import Generation
from finetune_portal.web.keys import parse_key
from finetune_portal.web.paging import page_of

NOT_READY = "They are not ready yet."


def context(
    user: User,
    job: Job,
    params: Mapping[str, str],
    *,
    form: GenerationForm | None = None,
    confirmed: bool = False,
) -> dict[str, Any]:
    """The playground of one job. `params` is the query string.

    Its `generation` (`trial` in links of older releases) is shown, and its settings fill the form; `older`
    pages the history. `confirmed`: the person has already confirmed on this page that runs are charged.
    """
    why_not = access.why_not(job)
    rows = access.visible(user).filter(job=job, compare_to=None)
    page = page_of(rows, before=params.get("older", ""), size=choices.EARLIER)
    chosen = _shown(rows, params.get("generation") or params.get("trial", ""))
    shown = chosen or next(iter(page.rows), None)
    if form is None and user.can_train and not why_not:
        form = form_for([job], shown, seed=chosen.seed if chosen else params.get("seed", ""))
    is_chosen = chosen is not None or bool(params.get("older"))
    return {
        **stage(user, shown, confirmed=confirmed),
        # What a person looks at stays. Nothing yet, and runs on their way, follow what happens elsewhere.
        "is_live": not is_chosen and (shown is None or any(each.is_changing for each in page.rows)),
        "job": job,
        "why_not": why_not,
        "form": form,
        "page": page,
        "paid": access.price_of(job.connection),
        "picture": _picture(form, shown),
        "must_confirm": access.is_paid(job.connection) and not confirmed,
    }


def stage(user: User, shown: Generation | None, *, confirmed: bool) -> dict[str, Any]:
    """The large picture, and the actions on it."""
    return {
        "shown": shown,
        "may_change": shown is not None and access.may_change(user, shown),
        "may_run": shown is not None and user.can_train and not access.why_not(shown.job),
        "must_confirm": shown is not None and access.is_paid(shown.connection) and not confirmed,
        "paid": access.price_of(shown.connection) if shown else "",
    }


def form_for(jobs: list[Job], shown: Generation | None = None, *, seed: int | str = "") -> GenerationForm:
    """A form that is ready to be sent. Without a seed each run makes another picture."""
    offered = input_choices.offered(jobs, keep=shown.input if shown else None)
    if shown is None:
        first = offered[0] if offered else None
        prompt = next((job.instance_prompt for job in jobs if job.instance_prompt), "")
        initial: dict[str, Any] = {
            "picture": first.value if first else "",
            "prompt": (first.prompt if first else "") or prompt,
        }
    else:
        initial = {name: getattr(shown, name) for name in ("prompt", "strength", "steps", "guidance")}
        initial["seed"] = seed
        initial["picture"] = input_choices.value_of(shown.input, offered)
    return GenerationForm(initial=initial, offered=offered, jobs=jobs)


def comparison(
    user: User, params: Mapping[str, str], jobs: list[Job], form: GenerationForm | None
) -> dict[str, Any]:
    """One picture by several jobs. `params["run"]` is the batch to show."""
    runnable = [job for job in jobs if access.can_run(job)]
    left_out = [job for job in jobs if job not in runnable]
    columns = list(_batch(user, params.get("run", ""), jobs)) if runnable else []
    if form is None and user.can_train and runnable:
        last = columns[-1] if columns else None
        form = form_for(runnable, last, seed=last.seed if last else "")
    prices = dict.fromkeys(access.price_of(job.connection) for job in runnable)
    paid = " ".join(price for price in prices if price)
    bases = bounds.one_of_each_base(runnable)
    return {
        "jobs": runnable,
        "left_out": left_out,
        "reason": next((why for job in left_out if (why := access.why_not(job))), NOT_READY),
        "form": form,
        "columns": columns,
        "earlier": _earlier(user, runnable),
        "paid": paid,
        "must_confirm": bool(paid),
        "bases": bases,
        "number": len(runnable) + len(bases),
    }


def results(user: User, job: Job) -> dict[str, Any]:
    """The newest results of a model; without one the step of its last sample. All are of about one ratio."""
    rows = access.visible(user).filter(job=job, compare_to=None, state=Generation.State.DONE)
    made = list(rows.exclude(strength=0).order_by("-pk")[: choices.RESULTS])
    training = job.training_or_none
    waiting = Generation.objects.filter(job=job, state__in=access.WAITING)
    pairs = job.dataset.pairs if job.dataset else []
    width, height = previews.size_of(pairs[0] if pairs else {}, "start", "small")
    return {
        "job": job,
        "results": made,
        "edge": "small" if len(made) > 2 else "large",  # fewer are shown larger
        "step": None if made or training is None else training.last_sample,
        "is_making": not made and waiting.exists(),
        "can_make": not made and user.can_train and access.can_run(job),
        "width": width,
        "height": height,
    }


def jobs_named(user: User, keys: list[str]) -> list[Job]:
    """The jobs of these keys by name, at most as many as can be compared."""
    valid = [key for text in keys if (key := parse_key(text))]
    rows = job_access.visible(user).select_related("connection").filter(pk__in=valid)
    return sorted(rows, key=lambda job: (job.name, job.pk))[: choices.MOST_JOBS]


def _shown(rows: QuerySet[Generation], text: str) -> Generation | None:
    key = parse_key(text)
    return rows.filter(pk=key).first() if key else None


def _batch(user: User, key: str, jobs: list[Job]) -> QuerySet[Generation]:
    """The generations of one batch, that of the base model first."""
    try:
        batch = uuid.UUID(key)
    except ValueError:
        return Generation.objects.none()
    return access.visible(user).filter(batch=batch, job__in=jobs).order_by("pk")


def _earlier(user: User, jobs: list[Job]) -> list[Generation]:
    """The newest generation of each earlier batch with one of these jobs."""
    rows = access.visible(user).filter(job__in=jobs).exclude(batch=None).order_by("-pk")[:60]
    return list({generation.batch: generation for generation in reversed(rows)}.values())[::-1][:6]


def _picture(form: GenerationForm | None, shown: Generation | None) -> input_choices.Choice | None:
    """The picture that is shown large before the first generation."""
    if form is not None:
        return input_choices.chosen(form.offered, str(form["picture"].value() or ""))
    return input_choices.for_input(shown.input) if shown else None
