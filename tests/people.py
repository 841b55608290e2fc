"""The cast and their things: alice and bob make, charlie looks, dana administers."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from django.http import HttpResponseBase
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.costs.models import Approval, Cost
from finetune_portal.datasets import previews, sample
from finetune_portal.datasets.checker.inspect import inspect_zip
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.datasets.pair_images import most_inputs
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.sync import samples
from finetune_portal.playground import results
from finetune_portal.playground.models import Generation, Input
from tests import session_client as session_client
from tests.provider import PICTURE

PASSWORD = "correct horse battery"
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def own_data_folder(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"
    settings.ROOM_LOCK = tmp_path / "room.lock"  # of the engine, whose functions tests call, too
    settings.STATIC_ROOT = tmp_path
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


def person(name: str, role: str) -> User:
    return User.objects.create_user(f"{name}@example.com", PASSWORD, name=name.title(), role=role)


@pytest.fixture
def alice(db: None) -> User:
    return person("alice", User.Role.MAKER)


@pytest.fixture
def bob(db: None) -> User:
    return person("bob", User.Role.MAKER)


@pytest.fixture
def charlie(db: None) -> User:
    return person("charlie", User.Role.VIEWER)


@pytest.fixture
def dana(db: None) -> User:
    return person("dana", User.Role.ADMIN)


def signed_in(user: User, *, minutes_ago: int = 0) -> Client:
    client = Client()
    sign_in(client, user, minutes_ago=minutes_ago)
    return client


def sign_in(client: Client, user: User, *, minutes_ago: int = 0) -> None:
    """As by the password, so long ago."""
    client.force_login(user)
    session = client.session
    at = time.time() - 60 * minutes_ago
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": "password", "at": at, "email": user.email}]
    session[f"{AUTHENTICATION_METHODS_SESSION_KEY}_user"] = str(user.pk)
    session.save()


def just_signed_in(user: User) -> Client:
    """By the form: nothing asks again who it is."""
    client = Client()
    client.post("/login/", {"username": user.email, "password": PASSWORD})
    return client


def make_dataset(owner: User, *, stored: bool = True, data: bytes | None = None, **fields: Any) -> Dataset:
    """A dataset that passed its check; `stored` also puts it at a storage address."""
    data = sample.make() if data is None else data
    dataset = Dataset(
        owner=owner,
        name="night",
        filename="night.zip",
        size=len(data),
        received=len(data),
        state=Dataset.State.READY,
    )
    dataset.path.parent.mkdir(parents=True, exist_ok=True)
    dataset.path.write_bytes(data)
    dataset.verdict = json.loads(_verdict(data))
    dataset.pair_count = len(dataset.pairs)
    dataset.most_inputs = most_inputs(dataset.pairs)
    for name, value in fields.items():
        setattr(dataset, name, value)
    dataset.save()
    if stored:
        Transfer.objects.create(
            dataset=dataset,
            connection=connections.default(),
            finished_at=now(),
            bytes_sent=len(data),
            s3_url="https://storage.example/night.zip",
        )
    return dataset


@lru_cache(maxsize=32)
def _verdict(data: bytes) -> str:
    """What the check says of these bytes, in JSON: most tests take the same sample."""
    with NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return json.dumps(inspect_zip(Path(file.name)).as_json())


@pytest.fixture
def dataset(alice: User) -> Dataset:
    return make_dataset(alice)


def make_job(owner: User | None, state: str = State.QUEUED, **fields: Any) -> Job:
    values = {
        "name": "Day to night",
        "instance_prompt": "turn day into night",
        "learning_rate": 0.0004,
        "steps": 300,
        "connection": fields.get("connection") or connections.default(),
        **fields,
    }
    return Job.objects.create(owner=owner, state=state, **values)


def waits_for_approval(job: Job) -> Job:
    """The job is over a budget that asks."""
    assert job.owner
    fields = {"person": job.owner, "connection": job.connection, "currency": "USD", "title": job.name}
    cost = Cost.objects.create(kind="job", subject=job.pk, job=job.pk, state="approval", **fields)
    Approval.objects.create(cost=cost, reason="It costs about 4.00 USD, and the budget has 2.00 USD left.")
    Job.objects.filter(pk=job.pk).update(state=State.APPROVAL)
    job.state = State.APPROVAL
    return job


def make_generation(job: Job) -> Generation:
    """A run of this job's model, with its picture, of an input as `inputs.from_pair` leaves it.

    Nothing is decoded: to start the child for it takes longer than most tests.
    """
    defaults = {"kind": "png", "name": "Pair 01", "dataset": job.dataset, "number": 0}
    image, _ = Input.objects.get_or_create(sha256=hashlib.sha256(PICTURE).hexdigest(), defaults=defaults)
    numbers = {"strength": 1.0, "seed": 7, "steps": 28, "guidance": 2.5}
    generation = Generation(
        owner=job.owner, job=job, connection=job.connection, input=image, prompt="night", **numbers
    )
    generation.state, generation.kind = Generation.State.DONE, image.kind
    previews_of_input = [results.preview_path(image, edge) for edge in results.EDGES]
    for path in (image.path, generation.path, *previews_of_input):
        _write_picture(path)
    generation.save()
    return generation


def make_samples(job: Job, *names: str) -> None:
    """Sample images of this job's training, each as `samples.save` leaves it: nothing is decoded."""
    for name in names:
        _write_picture(samples.path(job.pk, name))


def _write_picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(PICTURE)


def form_data(dataset: Dataset | None = None, **fields: Any) -> dict[str, Any]:
    """What the browser posts for a training; `None` leaves a field out."""
    data = {
        "form_key": str(uuid.uuid4()),
        "dataset": dataset.pk if dataset else "",
        "name": "Day to night",
        "instance_prompt": "turn day into night",
        "learning_rate": "0.0004",
        "steps": "300",
        "machine_type": "NVIDIA_H100",
        **fields,
    }
    return {name: value for name, value in data.items() if value is not None}


def made_preview(client: Client, url: str) -> HttpResponseBase:
    """The answer for a preview, when the worker has made it."""
    for _ in range(20):
        response = client.get(url)
        if response.status_code != 202 or not previews.make_next():
            break
    return response
