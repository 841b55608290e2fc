"""Move jobs through their states. The rows are the queue: after a start the runner looks at what is due.

The work of a state is done at its end. The new state, its results and its webhook event are one commit. A
process killed at any moment leaves a row that is due; the work is done again and gives the same result.
"""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from contextlib import closing
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import OperationalError, transaction
from django.utils import timezone

from finetune_portal.engine import dataset_source, datasets, outbox, progress, room, scenarios, states
from finetune_portal.engine.images.decoder import Decoder
from finetune_portal.engine.images.errors import DecoderUnavailableError
from finetune_portal.engine.models import Job
from finetune_portal.engine.poller import MAX_SLEEP, Poller
from finetune_portal.engine.scenarios import Scenario
from finetune_portal.engine.storage import keys
from finetune_portal.engine.trainers.children import Event
from finetune_portal.engine.trainers.current import current_trainer
from finetune_portal.engine.trainers.trainer import (
    BaseModelGoneError,
    TrainingError,
    TrainingSpec,
    find_model,
)

WORKERS = 4  # threads for all but the trainings, which have the trainer's slots
CANCELLED = "Cancelled."
RETRY_SECONDS = 10.0  # until a job whose pictures could not be decoded is due again

_queue: queue.SimpleQueue[uuid.UUID] = queue.SimpleQueue()
_busy: set[uuid.UUID] = set()
_training: set[uuid.UUID] = set()  # the busy jobs that hold a slot of the trainer

log = logging.getLogger(__name__)


class JobFailedError(Exception):
    """Says why a job failed, in a sentence for its owner."""


FAILURES = (
    JobFailedError,
    dataset_source.SourceError,
    datasets.DatasetError,
    TrainingError,
    room.NoRoomError,
)


class EngineStoppingError(Exception):
    """The engine stops: leave the job where it is."""


def start() -> None:
    poller.start()
    for number in range(WORKERS + current_trainer().slots):
        # Daemons, because a trainer in the middle of its work must not hold up the end of the process.
        threading.Thread(target=_work, name=f"worker-{number}", daemon=True).start()


def seconds_in(job: Job, scenario: Scenario) -> float:
    """How long the job stays in the state it is in."""
    if job.state == states.TRAINING_INITIATED:
        seconds = current_trainer().delay_seconds(job.steps)
    else:
        seconds = states.SECONDS.get(job.state, states.UNKNOWN_SECONDS)
    return seconds * scenario.slowdown * settings.TIME_SCALE


def _enqueue_due() -> float:
    """Give what is due to the workers; return how long to sleep."""
    now = timezone.now()
    waiting = Job.objects.filter(due_at__isnull=False).exclude(pk__in=list(_busy))
    if _is_full():  # trainings wait in their order, and hold up no other work
        waiting = waiting.exclude(state=states.TRAINING_INITIATED, is_cancelled=False)
    for job in waiting.order_by("due_at").only("due_at", "state", "is_cancelled")[:100]:
        if job.due_at and job.due_at > now:
            return float((job.due_at - now).total_seconds())
        if job.state == states.TRAINING_INITIATED and not job.is_cancelled:
            if _is_full():
                continue
            _training.add(job.pk)
        _busy.add(job.pk)
        _queue.put(job.pk)
    return MAX_SLEEP


def _is_full() -> bool:
    return len(_training) >= current_trainer().slots


def _work() -> None:
    while True:
        job_id = _queue.get()
        try:
            _advance(Job.objects.get(pk=job_id))
        except EngineStoppingError:
            pass
        except OperationalError as error:
            log.error("The database did not answer: %s.", error)
            poller.wait_for_stop(MAX_SLEEP)
        finally:
            _busy.discard(job_id)
            _training.discard(job_id)
            poller.wake()


def _advance(job: Job) -> None:
    """Move the job to its next state or to FAILED, or leave it due where no picture can be decoded now."""
    scenario = scenarios.of(job.name)
    try:
        if job.is_cancelled and job.state not in states.WITH_WEIGHTS:
            raise JobFailedError(CANCELLED)
        results = _do_work(job, scenario)
    except FAILURES as error:
        _move(job, scenario, states.FAILED, {"error_message": str(error)})
    except DecoderUnavailableError as error:  # nothing is wrong with the job
        log.error("Job %s waits. %s", job.pk, error)
        due_at = timezone.now() + timedelta(seconds=RETRY_SECONDS)
        Job.objects.filter(pk=job.pk, state=job.state, is_cancelled=False).update(due_at=due_at)
    except (EngineStoppingError, OperationalError):
        raise
    except Exception:
        log.exception("Job %s failed in %s.", job.pk, job.state)
        _move(job, scenario, states.FAILED, {"error_message": "The engine failed. Its log says why."})
    else:
        _move(job, scenario, scenario.path[scenario.path.index(job.state) + 1], results)


def _do_work(job: Job, scenario: Scenario) -> dict[str, Any]:
    """Do the work of the job's state; return the fields that are written with the next one."""
    if scenario.fails_in == job.state:
        raise JobFailedError(f"The name of the job asks for this failure: {scenario.word}.")
    if job.state in (states.DATA_PROCESSING, states.TRAINING_INITIATED):
        _check_base_model(job)
    if job.state == states.DATA_PROCESSING:
        dataset = _dataset(job)
        return {"dataset_sha256": dataset.sha256, "pairs": dataset.pairs}
    if job.state == states.TRAINING_INITIATED and scenario.makes_weights:
        return {"weights": _train(job)}
    return {}


def _check_base_model(job: Job) -> None:
    """Raise BaseModelGoneError where a restart took the job's base model away; Kontext may be simulated."""
    models = current_trainer().models
    if (models or job.base_model) and find_model(models, job.base_model) is None:
        raise BaseModelGoneError(job.base_model)


def _dataset(job: Job) -> datasets.Dataset:
    def check_in() -> None:
        _check_in(job)

    path = dataset_source.local_copy(
        job.data_source_path,
        storage=settings.STORAGE_DIR,
        into=settings.STORAGE_DIR / "fetched" / f"{job.pk}.zip",
        allow=settings.FETCH_ALLOW,
        check_in=check_in,
    )
    with closing(Decoder(check_in)) as decoder:
        return datasets.check(
            path,
            instance_prompt=job.instance_prompt,
            check_image=decoder.check,
            most_inputs=_most_inputs(job),
            check_in=check_in,
        )


def _most_inputs(job: Job) -> int:
    model = find_model(current_trainer().models, job.base_model)
    return model.layout.most_inputs if model else 1


def _train(job: Job) -> str:
    """Train the job's model; return the key of its weights."""
    fetched = settings.STORAGE_DIR / "fetched" / f"{job.pk}.zip"
    key = keys.from_url(job.data_source_path)
    path = keys.path(settings.STORAGE_DIR, key) if key else fetched
    spec = TrainingSpec(
        name=job.name,
        instance_prompt=job.instance_prompt,
        steps=job.steps,
        learning_rate=job.learning_rate,
        dataset=datasets.Dataset(path, job.dataset_sha256, job.pairs),
        base_model=job.base_model,
        parameters=job.parameters,
    )
    trainer = current_trainer()
    Job.objects.filter(pk=job.pk).update(trained_by=trainer.about(job.base_model))
    work, folder = progress.folder(job.pk), keys.weights_folder(job.pk)

    def report(event: Event) -> None:
        progress.add(work, event)
        _check_in(job)

    weights = trainer.train(spec, work, settings.STORAGE_DIR / folder, report)
    progress.sync(work)
    return f"{folder}/{weights.name}"


def _check_in(job: Job) -> None:
    """Raise when the engine stops or the job is cancelled."""
    if poller.is_stopping:
        raise EngineStoppingError
    if Job.objects.filter(pk=job.pk, is_cancelled=True).exists():
        raise JobFailedError(CANCELLED)


def _move(job: Job, scenario: Scenario, state: str, results: dict[str, Any]) -> None:
    """Set the new state with its results, unless the row was moved by somebody else."""
    old = job.state
    job.state, job.updated_at = state, timezone.now()
    is_end = state in (scenario.path[-1], states.FAILED)
    job.due_at = None if is_end else job.updated_at + timedelta(seconds=seconds_in(job, scenario))
    for name, value in results.items():
        setattr(job, name, value)
    fields = {"state": state, "updated_at": job.updated_at, "due_at": job.due_at, **results}
    with transaction.atomic():
        if Job.objects.filter(pk=job.pk, state=old).update(**fields):
            outbox.announce(job)
            transaction.on_commit(outbox.poller.wake)


poller = Poller("runner", _enqueue_due)
