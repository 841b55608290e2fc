"""Datasets, trainings and generations of the fixture, made by the worker's steps of release 35ee960."""

# ruff: noqa: I001 - the order would follow which modules of that release are still here

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.timezone import now
from make_datasets import Makes, carried, make_datasets, picture, sha256, uploaded, zipped

from finetune_portal.connections.models import Connection
from finetune_portal.datasets import services as datasets
from finetune_portal.datasets import versions
from finetune_portal.datasets.models import Carry, Dataset
from finetune_portal.jobs import files, progress, submission, sync
from finetune_portal.jobs import services as jobs
from finetune_portal.jobs.models import Attempt, Job, Training
from finetune_portal.playground import inputs, running
from finetune_portal.playground import services as playground
from finetune_portal.playground.models import Trial
from finetune_portal.web.leases import claim
from finetune_portal.worker import lanes
from tests.upstream import breaks, says

USUAL = (
    "REQUESTED",
    "DATA_PROCESSING",
    "TRAINING_INITIATED",
    "TRAINING_COMPLETED",
    "DEPLOYING",
    "AVAILABLE",
)
CURVE = {
    "percent": 50.0,
    "step": 150,
    "ahead": 0,
    "seconds_left": 95.0,
    "memory_bytes": 23_500_000_000,
    "loss": [[step, round(1 / (1 + step / 40), 4)] for step in range(1, 151)],
    "held_out": {"pair": "01", "trained_on": False, "loss": [[0, 0.81], [75, 0.42], [150, 0.31]]},
    "samples": [0, 75, 150],
}
# A file of some kilobytes instead of four megabytes, and otherwise what the simulated trainer writes.
ENGINE = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "finetune_portal.engine.settings"
from finetune_portal.engine.trainers import simulated
simulated.BLOCKS, simulated.WIDTH = 1, 16
from django.core.management import execute_from_command_line
execute_from_command_line(["engine", "serve"])
"""


def fill(data: Path, people: Any, connections: Any, vendor: Any, studio: Any) -> dict[str, Any]:
    makes = Makes(people, connections, vendor, studio)
    studio.can = ("cancel", "losses", "progress", "run", "samples")
    studio.tells = CURVE
    with engine_of(data) as url:
        make_datasets(makes)
        make_engine_jobs(makes, url)
        make_studio_jobs(makes)
        make_vendor_jobs(makes)
        make_generations(makes)
        make_doubtful_jobs(makes)
        make_work_left(makes)
    make_engine_states(data, makes)
    return {**makes.facts, **facts_of(makes)}


@contextmanager
def engine_of(data: Path) -> Iterator[str]:
    """The engine of that release on the same folder; killed at the end, in the midst of its trainings."""
    log = (data / "engine" / "engine.log").open("wb")
    own = os.environ | {"ENGINE_TIME_SCALE": "0.2", "PYTHONPATH": str(Path.cwd())}
    with (
        log,
        subprocess.Popen(
            [sys.executable, "-c", ENGINE], env=own, stdout=log, stderr=log, start_new_session=True
        ) as engine,
    ):
        try:
            until(lambda: answers(f"{settings.SEGMIND_BASE_URL}/healthz"))
            yield settings.SEGMIND_BASE_URL
        finally:
            os.killpg(engine.pid, 9)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def until(what: Callable[[], Any], seconds: float = 60) -> None:
    latest = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < latest, "it did not come in time"
        time.sleep(0.1)


# Trainings --------------------------------------------------------------------------------------


def started(makes: Makes, name: str, connection: Any, *, dataset: Any = None, **training: Any) -> Any:

    values = {
        "name": name,
        "instance_prompt": "turn day into night",
        "learning_rate": 0.0004,
        "steps": 300,
        "connection": connection,
        **training,
    }
    night = dataset or Dataset.objects.get(name="Night streets", version=1)
    return jobs.start_all(actor=makes.alice, dataset=night, form_key=uuid.uuid4(), trainings=[values])[0]


def sent(makes: Makes, name: str, connection: Any, states: tuple[str, ...] = (), **training: Any) -> Any:
    """Started and sent; at a fake it will pass these states, one at each list."""
    if fake := makes.fakes.get(connection.pk):
        fake.states = states
    job = started(makes, name, connection, **training)
    carried()
    for _ in range(2):
        lanes.submit()
    return Job.objects.get(pk=job.pk)


def listed(connection: Any, times: int = 1) -> None:
    """The worker asks this connection for its list, and no other."""
    for _ in range(times):
        Connection.objects.update(due=now() + timedelta(hours=1))
        Connection.objects.filter(pk=connection.pk).update(due=now())
        assert sync.follow()
        while lanes.train():
            pass
    Connection.objects.update(due=now())


def make_engine_jobs(makes: Makes, url: str) -> None:
    """One that is ready, with its file read; several that the engine is at."""
    job = sent(makes, "Ready at home", makes.engine)
    until(lambda: listed(makes.engine) or Job.objects.get(pk=job.pk).state == "ready")
    files.ask(Job.objects.get(pk=job.pk), actor=makes.alice)
    assert files.check_next()
    for name in ("Trains at home", "Queued at home", "Reads at home", "Deploys at home", "Cancelled at home"):
        sent(makes, name, makes.engine, steps=4000)
    listed(makes.engine, 2)


def make_studio_jobs(makes: Makes) -> None:
    """An engine of one's own that tells of each training and can cancel it."""
    listed(makes.studio)
    ready = sent(makes, "Ready with a curve", makes.studio, USUAL)
    cancelled = sent(makes, "Cancelled", makes.studio, USUAL[:3])
    listed(makes.studio, 4)
    progress.cancel(Job.objects.get(pk=cancelled.pk), actor=makes.alice)
    until(lambda: look_again() or listed(makes.studio, 2) or Training.objects.get(job=ready).is_over)
    assert Job.objects.get(pk=cancelled.pk).is_cancelled
    training = sent(makes, "Training with a curve", makes.studio, USUAL[:3])
    sent(makes, "Cancelling", makes.studio, USUAL[:3])
    listed(makes.studio, 3)
    until(lambda: look_again() or listed(makes.studio) or bool(Training.objects.get(job=training).samples))


def look_again() -> None:

    Training.objects.update(due=now(), lease_until=None)


def make_vendor_jobs(makes: Makes) -> None:
    """A job in each state that the list tells of, and the ends."""
    fake, rest = makes.fakes[makes.vendor.pk], {}
    for number, name in enumerate(("Requested", "Data", "Training", "Trained", "Deploying", "Ready")):
        rest[name] = sent(makes, name, makes.vendor, USUAL[: number + 1], wants_public=name == "Ready")
    sent(makes, "Running", makes.vendor, ("REQUESTED", "CALIBRATING_LENSES"))
    sent(makes, "Archived", makes.vendor, USUAL)
    failed = sent(makes, "Failed", makes.vendor, ("REQUESTED", "FAILED"))
    fake.job(failed.request_id).error_message = "Pair 3 has no end picture."
    fake.states = USUAL
    fake.adds("made elsewhere", advance_parameters={"steps": 500, "learning_rate": 0.0001})
    listed(makes.vendor, 7)
    fake.script("submit", says(406, {"error": "Insufficient credits"}))
    assert sent(makes, "Refused", makes.vendor).state == "refused"
    closed = started(makes, "Closed", makes.vendor)
    jobs.withdraw(closed, actor=makes.alice)
    for rate in (0.0001, 0.0002):
        sweep = {"name": f"Sweep {rate}", "learning_rate": rate, "sweep": uuid.UUID(int=7)}
        sent(makes, sweep.pop("name"), makes.vendor, USUAL, **sweep)
    listed(makes.vendor, 7)
    Job.objects.filter(name="Sweep 0.0002").update(file_asked=now(), due=now())


def make_doubtful_jobs(makes: Makes) -> None:
    """Whose answer was lost, and what waits. Made last, because they hold up what is sent after them."""
    fake, ago = makes.fakes[makes.vendor.pk], now() - timedelta(minutes=20)
    fake.script("submit", breaks(taken=False))
    decision = sent(makes, "Needs a decision", makes.vendor)
    Attempt.objects.filter(job=decision).update(started=ago)
    Job.objects.filter(pk=decision.pk).update(due=now())
    listed(makes.vendor)
    fake.script("submit", breaks(taken=False))
    assert sent(makes, "Unconfirmed", makes.vendor).state == "unconfirmed"
    sending = started(makes, "Sending", makes.vendor)
    row = claim(Job.objects.filter(pk=sending.pk), seconds=1)
    assert row
    assert submission._commit_intent(row)
    started(makes, "Queued", makes.vendor)
    Job.objects.filter(name="Sending").update(lease_until=now())


# Generations ------------------------------------------------------------------------------------


def make_generations(makes: Makes) -> None:
    """Done with and without the LoRA, of two models by one press, failed, lost, running, waiting."""
    fake = makes.fakes[makes.vendor.pk]
    ready, other = Job.objects.get(name="Ready"), Job.objects.get(name="Sweep 0.0001")
    brought = inputs.of_file(picture(77), "street.png")
    pair = inputs.of_pair(ready.dataset, 0)

    def run(prompt: str, jobs: list[Any], picture: Any = brought, *answers: Any, **own: Any) -> Any:
        numbers = {"strength": 1.0, "seed": 7, "steps": 28, "guidance": 2.5}
        key = uuid.uuid4()
        made = playground.run(
            actor=makes.alice, jobs=jobs, brought=picture, form_key=key, prompt=prompt, **numbers, **own
        )
        fake.script("run", *answers)
        Trial.objects.filter(pk__in=[each.pk for each in made]).update(due=now())
        while running.run_next():
            pass
        return made[0]

    done = run("a moonlit street", [ready])
    playground.without_lora(done, actor=makes.alice)
    run("two models at dusk", [ready, other], pair, with_base=True)
    run("a prompt that is refused", [ready], brought, says(422, {"error": "The prompt is not allowed."}))
    run("an answer that is lost", [ready], brought, breaks(taken=True))
    stopped = playground.run(
        actor=makes.alice,
        jobs=[ready],
        brought=brought,
        form_key=uuid.uuid4(),
        prompt="a killed worker",
        strength=0.8,
        seed=8,
        steps=28,
        guidance=2.5,
    )[0]
    held = {"state": "running", "started": now(), "lease": uuid.uuid4(), "lease_until": now(), "attempts": 1}
    Trial.objects.filter(pk=stopped.pk).update(**held)
    playground.run(
        actor=makes.alice,
        jobs=[ready],
        brought=brought,
        form_key=uuid.uuid4(),
        prompt="still waiting",
        strength=0.9,
        seed=9,
        steps=28,
        guidance=2.5,
    )


def make_work_left(makes: Makes) -> None:
    """What the worker would do at once, made when it works no more."""
    night = Dataset.objects.get(name="Night streets", version=1)
    captions = Dataset.objects.get(pk=makes.datasets["captions"].pk)
    old = Carry.objects.get(dataset=captions, connection=makes.engine)
    Carry.objects.filter(pk=old.pk).update(done=now() - timedelta(days=9))
    datasets.take_to(captions, makes.vendor)
    half_way = {"sent": captions.size // 2, "attempts": 1, "lease": uuid.uuid4()}
    Carry.objects.filter(dataset=captions, connection=makes.vendor).update(**half_way, lease_until=now())
    failing = {"attempts": 3, "error": "The storage could not be reached.", "due": now()}
    datasets.take_to(captions, makes.studio)
    Carry.objects.filter(dataset=captions, connection=makes.studio).update(**failing)
    makes.datasets["making"] = versions.with_captions(
        night, {"02": "turn day into a rainy night"}, actor=makes.bob
    )
    uploaded(makes, "checking", zipped(5))
    job = started(makes, "Waiting", makes.engine, dataset=Dataset.objects.get(name="checking"))
    assert job.state == "waiting"
    progress.cancel(Job.objects.get(name="Cancelling"), actor=makes.alice)


# The engine's own database ----------------------------------------------------------------------


def make_engine_states(data: Path, makes: Makes) -> None:
    """Put the engine's trainings where a kill may find them, one in each state, and leave an event unsent."""
    code = "import make_engine, sys; make_engine.main(sys.argv[1])"
    own = os.environ | {
        "DJANGO_SETTINGS_MODULE": "finetune_portal.engine.settings",
        "PYTHONPATH": f"{Path.cwd()}:{Path(__file__).parent}",
    }
    subprocess.run([sys.executable, "-c", code, str(data)], env=own, check=True)


def facts_of(makes: Makes) -> dict[str, Any]:
    """What there is, by name: the test looks for each."""
    names = {makes.engine.pk: "engine", makes.vendor.pk: "vendor", makes.studio.pk: "studio"}
    jobs = [
        {
            "pk": job.pk,
            "name": job.name,
            "state": job.state,
            "connection": names[job.connection_id],
            "request_id": job.request_id,
            "sent_as": job.upstream_name,
            "status": job.upstream_status,
            "file_sha256": job.file_sha256,
            "samples": getattr(job, "training", None) and job.training.samples,
        }
        for job in Job.objects.order_by("pk")
    ]
    datasets = [
        {
            "pk": each.pk,
            "name": each.name,
            "version": each.version,
            "state": each.state,
            "pairs": each.pair_count,
        }
        for each in Dataset.objects.order_by("pk")
    ]
    trips = [
        [each.dataset_id, names[each.connection_id], bool(each.done)] for each in Carry.objects.order_by("pk")
    ]
    generations = [
        {
            "pk": each.pk,
            "job": each.job_id,
            "prompt": each.prompt,
            "state": each.state,
            "is_base": each.is_base,
            "sha256": sha256(each.path.read_bytes()) if each.is_done else "",
        }
        for each in Trial.objects.order_by("pk")
    ]
    return {"jobs": jobs, "datasets": datasets, "transfers": trips, "generations": generations}
