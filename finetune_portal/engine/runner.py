"""Moves jobs through their states. The rows are the queue: whoever starts just looks at what is due.

The work of a state is done at its end, and the new state, its results and its news for the webhook are
one commit. A process killed at any moment leaves a row that is due, and the work is done again: it
gives the same result.
"""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import OperationalError, connections, transaction
from django.utils import timezone

from finetune_portal.engine import datasets, outbox, progress, scenarios, sources, states, trainers
from finetune_portal.engine.models import Job
from finetune_portal.engine.scenarios import Scenario
from finetune_portal.engine.storage import keys
from finetune_portal.engine.trainers.children import Event
from finetune_portal.engine.trainers.trainer import Spec, TrainingFailed

HANDS = 4  # for all but the trainings, which have the trainer's places
LONGEST_NAP = 1.0
CANCELLED = "Cancelled."

bell = threading.Event()  # rung when there may be something to do
_stopping = threading.Event()
_errands: queue.SimpleQueue[uuid.UUID] = queue.SimpleQueue()
_busy: set[uuid.UUID] = set()
_training: set[uuid.UUID] = set()  # those of the busy that hold a place of the trainer

log = logging.getLogger(__name__)


class JobFailed(Exception):
    """Why a job failed, in a sentence for its owner."""


class Stopping(Exception):
    """The engine stops: leave the job where it is."""


def start() -> None:
    # Daemons, because a trainer in the middle of its work must not hold up the end of the process.
    threading.Thread(target=_watch, name="runner", daemon=True).start()
    for number in range(HANDS + trainers.current().places):
        threading.Thread(target=_work, name=f"hand-{number}", daemon=True).start()


def stop() -> None:
    _stopping.set()
    bell.set()


def seconds_in(job: Job, scenario: Scenario) -> float:
    """How long the job stays in the state it is in."""
    if job.state == states.TRAINING_INITIATED:
        seconds = trainers.current().seconds(job.steps)
    else:
        seconds = states.SECONDS.get(job.state, states.UNKNOWN_SECONDS)
    return seconds * scenario.pace * settings.TIME_SCALE


def _watch() -> None:
    """Hand out what is due, then sleep until the next is, or the bell rings."""
    while not _stopping.is_set():
        nap = LONGEST_NAP
        try:
            nap = _hand_out()
        except OperationalError:
            log.exception("The database did not answer.")
        bell.wait(nap)
        bell.clear()
    connections.close_all()


def _hand_out() -> float:
    now = timezone.now()
    waiting = Job.objects.filter(due__isnull=False).exclude(pk__in=list(_busy))
    if _is_full():  # the others wait in their order, and hold up nobody else
        waiting = waiting.exclude(state=states.TRAINING_INITIATED, cancelled=False)
    for job in waiting.order_by("due").only("due", "state", "cancelled")[:100]:
        if job.due and job.due > now:
            return float(min(LONGEST_NAP, (job.due - now).total_seconds()))
        if job.state == states.TRAINING_INITIATED and not job.cancelled:
            if _is_full():
                continue
            _training.add(job.pk)
        _busy.add(job.pk)
        _errands.put(job.pk)
    return LONGEST_NAP


def _is_full() -> bool:
    return len(_training) >= trainers.current().places


def _work() -> None:
    while True:
        job_id = _errands.get()
        try:
            _advance(Job.objects.get(pk=job_id))
        except Stopping:
            pass
        except OperationalError:
            log.exception("The database did not answer.")
            _stopping.wait(LONGEST_NAP)
        finally:
            _busy.discard(job_id)
            _training.discard(job_id)
            bell.set()


def _advance(job: Job) -> None:
    scenario = scenarios.of(job.name)
    try:
        if job.cancelled and job.state not in states.WITH_WEIGHTS:
            raise JobFailed(CANCELLED)
        found = _leave(job, scenario)
    except (JobFailed, sources.SourceFailed, datasets.BrokenDataset, TrainingFailed) as failed:
        _move(job, scenario, states.FAILED, {"error_message": str(failed)})
    except (Stopping, OperationalError):
        raise
    except Exception:  # noqa: BLE001  a slip in a trainer must fail its job, not stop the runner
        log.exception("Job %s failed in %s.", job.pk, job.state)
        _move(job, scenario, states.FAILED, {"error_message": "The engine failed. Its log says why."})
    else:
        _move(job, scenario, scenario.path[scenario.path.index(job.state) + 1], found)


def _leave(job: Job, scenario: Scenario) -> dict[str, Any]:
    """Do the work of the state that the job is in; what comes of it is written with the next state."""
    if scenario.fails_in == job.state:
        raise JobFailed(f"The name of the job asks for this failure: {scenario.word}.")
    if job.state == states.DATA_PROCESSING:
        dataset = _dataset(job)
        return {"dataset_sha256": dataset.sha256, "pairs": dataset.pairs}
    if job.state == states.TRAINING_INITIATED and scenario.makes_weights:
        return {"weights": _train(job)}
    return {}


def _dataset(job: Job) -> datasets.Dataset:
    path = sources.local_copy(
        job.data_source_path,
        storage=settings.STORAGE_DIR,
        into=settings.STORAGE_DIR / "fetched" / f"{job.pk}.zip",
        allow=settings.FETCH_ALLOW,
        check_in=_check_in,
    )
    return datasets.read(path, instance_prompt=job.instance_prompt)


def _train(job: Job) -> str:
    """The key of the weights."""
    fetched = settings.STORAGE_DIR / "fetched" / f"{job.pk}.zip"
    key = keys.from_url(job.data_source_path)
    path = keys.path(settings.STORAGE_DIR, key) if key else fetched
    spec = Spec(
        name=job.name,
        instance_prompt=job.instance_prompt,
        steps=job.steps,
        learning_rate=job.learning_rate,
        dataset=datasets.Dataset(path, job.dataset_sha256, job.pairs),
        parameters=job.parameters,
    )
    trainer = trainers.current()
    Job.objects.filter(pk=job.pk).update(trained_by=trainer.about())
    work, folder = progress.folder(job.pk), keys.weights_folder(job.pk)

    def report(event: Event) -> None:
        progress.add(work, event)
        _check_in()
        if Job.objects.filter(pk=job.pk, cancelled=True).exists():
            raise JobFailed(CANCELLED)

    made = trainer.train(spec, work, settings.STORAGE_DIR / folder, report)
    progress.sync(work)
    return f"{folder}/{made.name}"


def _check_in() -> None:
    if _stopping.is_set():
        raise Stopping


def _move(job: Job, scenario: Scenario, state: str, found: dict[str, Any]) -> None:
    old = job.state
    job.state, job.changed = state, timezone.now()
    is_end = state in (scenario.path[-1], states.FAILED)
    job.due = None if is_end else job.changed + timedelta(seconds=seconds_in(job, scenario))
    for name, value in found.items():
        setattr(job, name, value)
    told = {"state": state, "changed": job.changed, "due": job.due, **found}
    with transaction.atomic():
        if Job.objects.filter(pk=job.pk, state=old).update(**told):
            outbox.announce(job)
            transaction.on_commit(outbox.bell.set)
