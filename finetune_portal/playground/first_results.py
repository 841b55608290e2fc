"""Run a model by itself when its training ends, on the first pairs of its dataset, where a run costs nothing.

The first pair is the one that an engine holds out, where it holds one out. The runs are in the name of the
job's owner, who can delete them, and marked as the portal's.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.services import note_pictures
from finetune_portal.jobs.timeline import Source, note
from finetune_portal.playground import access, choices, inputs, services
from finetune_portal.playground.models import FirstResults, Generation
from finetune_portal.projects import access as projects
from finetune_portal.queue.leases import claim, held_by, renewing
from finetune_portal.web.busy import BusyError
from finetune_portal.web.errors import ActionError

LEASE = 30.0
PAUSE = timedelta(seconds=5)
WAITED_FOR = timedelta(minutes=10)  # until what the provider says of a model that is ready is complete
SEED = 1


def want(job: Job) -> None:
    """Have the worker queue the runs, if the job has an owner and its connection runs models for nothing."""
    if job.owner_id and job.dataset_id and _is_free(job.connection):
        FirstResults.objects.get_or_create(job=job)


def queue_next() -> bool:
    """Queue the runs of the job that waits longest. False if none waits."""
    wanted = claim(FirstResults.objects.all(), seconds=LEASE)
    if wanted is None:
        return False
    with renewing(wanted, seconds=LEASE):
        is_over = _queue(wanted.job)
    if is_over:
        held_by(wanted).delete()
    else:
        held_by(wanted).update(due_at=now() + PAUSE, lease_expires_at=None)
    return True


def _is_free(connection: Connection) -> bool:
    return "run" in connection.capabilities and not access.is_paid(connection)


def _may_run(owner: User, job: Job) -> bool:
    """Whether it is still free, and the owner a maker of the team and of a private project."""
    return _is_free(job.connection) and owner.can_train and projects.may_see(owner, job.project)


def _queue(job: Job) -> bool:
    """Whether it is over with this job; otherwise it is tried again later."""
    owner, dataset = job.owner, job.dataset
    if owner is None or dataset is None or not _may_run(owner, job):
        return True
    if not access.can_run(job):
        return job.ended_at is None or job.ended_at < now() - WAITED_FOR
    if Generation.objects.filter(owner=owner, state__in=access.WAITING).exists():
        return False  # what people asked for goes first, and the owner has room for more
    pairs = dataset.pairs[: choices.RESULTS]
    guidance = None if job.trainer else choices.GUIDANCE  # other base models have one of their own
    try:
        for number, pair in enumerate(pairs):
            image = inputs.from_pair(dataset, number, actor=owner, job=job)
            settings = {"strength": choices.STRENGTH, "steps": choices.STEPS, "guidance": guidance}
            services.run_by_itself(
                owner=owner,
                job=job,
                image=image,
                key=uuid.uuid5(job.form_key, f"first result {number}"),
                prompt=pair["caption"] or job.instance_prompt,
                seed=SEED,
                **settings,
            )
    except (BusyError, services.TooManyWaitingError):
        return False
    except (ActionError, inputs.InvalidPictureError) as exc:
        note(job, f"The portal ran the model on no picture by itself. {exc}", source=Source.PORTAL)
    else:
        count = "1 picture" if len(pairs) == 1 else f"{len(pairs)} pictures"
        note(job, f"The portal runs the model on {count} of the dataset", source=Source.PORTAL)
    note_pictures(job)
    return True
