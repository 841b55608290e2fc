"""The cast and their things: alice and bob make, charlie looks, dana administers."""

from __future__ import annotations

import json
import time
import uuid
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.datasets import checker, sample
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.playground import inputs
from finetune_portal.playground.models import Generation
from tests import session_client as session_client

PASSWORD = "correct horse battery"
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def own_data_folder(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"
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
        return json.dumps(checker.inspect_zip(Path(file.name)).as_json())


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


def make_generation(job: Job) -> Generation:
    """A run of this job's model, with its picture."""
    image = inputs.from_pair(job.dataset, 0)
    numbers = {"strength": 1.0, "seed": 7, "steps": 28, "guidance": 2.5}
    generation = Generation(
        owner=job.owner, job=job, connection=job.connection, input=image, prompt="night", **numbers
    )
    generation.state, generation.kind = Generation.State.DONE, image.kind
    generation.path.parent.mkdir(parents=True, exist_ok=True)
    generation.path.write_bytes(image.path.read_bytes())
    generation.save()
    return generation


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
