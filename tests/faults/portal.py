"""A portal in a folder of its own, worked by forked children that can be killed, with a clock that can jump.

Nothing of the portal is kept in memory, so moving every time in the database back by an hour is the same as
waiting an hour. Children are forked from the warm test process and open the database themselves.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connections
from django.db.models import DateTimeField, F
from django.db.utils import ConnectionHandler
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.connections.services import default
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.datasets.transfer import schedule_transfer
from finetune_portal.jobs.choices import ENDED, State
from finetune_portal.jobs.models import Job, Training
from finetune_portal.webhooks import services as webhooks
from finetune_portal.webhooks.models import Delivery
from finetune_portal.worker.tasks import TASKS
from tests import databases, prepared
from tests.engine.calling import pairs, zipped
from tests.faults.killer import Killer
from tests.faults.proxy import Proxy
from tests.faults.targets import Ledger, Target
from tests.people import form_data, make_dataset, person, signed_in

ROUNDS = 60
STEP = timedelta(seconds=61)
CLIENT_SECONDS = 0.5  # how long the portal's client waits here for an answer
TIMED = ("connections", "datasets", "jobs", "registry", "webhooks", "worker")
SENDING = ("check-dataset", "transfer", "submit")
FOLLOWING = ("poll", "follow", "fetch-progress", "copy-model", "process-delivery", "verify-message")
WORK = [task for task in TASKS if task.name in (*SENDING, *FOLLOWING)]
ZIP = zipped(pairs())


def fork(work: Callable[[], None]) -> int:
    """Run it in a forked process; answers its id."""
    connections["default"].close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - what went wrong there must be seen here
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def end_of(pid: int) -> int:
    """Its exit status, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def pass_time(by: timedelta) -> None:
    """Let so much time pass for everything that is written down.

    Table by table: one transaction over all of them would wait for a worker beside it that waits for rows.
    """
    for label in TIMED:
        for model in apps.get_app_config(label).get_models():
            times = [f.name for f in model._meta.concrete_fields if isinstance(f, DateTimeField)]
            if times:
                model._default_manager.update(**{name: F(name) - by for name in times})


@dataclass
class Portal:
    """One copy of the prepared folder, its provider with a ledger, and the proxy between them."""

    folder: Path
    people: dict[str, Client]
    hook: str
    target: Target
    provider: Any  # the target's fake
    proxy: Proxy

    @property
    def ledger(self) -> Ledger:
        return self.target.ledger(self.provider)

    @property
    def log(self) -> Path:
        """What the workers wrote into their log."""
        return self.folder / "worker.log"

    def work(self, killer: Killer | None = None, *, rounds: int = ROUNDS) -> int:
        """One life of the worker: until all is at rest, or something kills it, or for so many rounds."""
        return end_of(self.begin_work(killer, rounds=rounds))

    def begin_work(
        self, killer: Killer | None = None, *, rounds: int = ROUNDS, seconds: float = CLIENT_SECONDS
    ) -> int:
        """A worker's process id. `seconds`: how long its client waits for an answer."""
        killer = killer or Killer()

        def life() -> None:
            logging.getLogger().addHandler(logging.FileHandler(self.log))
            self.target.be_impatient(seconds)
            for number in range(rounds):
                if number:
                    pass_time(STEP)
                with connections["default"].execute_wrapper(killer):
                    while sum(task.step() for task in WORK):
                        pass
                if is_at_rest():
                    break
            self._writes.write_text(str(killer.seen))

        pid = fork(life)
        self.proxy.kill = partial(os.kill, pid, signal.SIGKILL)
        self.proxy.freeze = partial(os.kill, pid, signal.SIGSTOP)
        return pid

    @property
    def writes(self) -> int:
        """How many writes to the database the last whole life made."""
        return int(self._writes.read_text())

    @property
    def _writes(self) -> Path:
        return self.folder / "writes"

    def post(self, who: str, *posts: tuple[str, Any], killer: Killer | None = None, **options: Any) -> int:
        """What a browser or the provider posts; the web process may be killed at it."""

        def request() -> None:
            with connections["default"].execute_wrapper(killer or Killer()):
                for path, data in posts:
                    answer = self.people[who].post(path, data, **options)
                    assert answer.status_code in (200, 302), (answer.status_code, answer.content[:300])

        return end_of(fork(request))

    def start(self, *form_keys: str, killer: Killer | None = None) -> int:
        dataset = Dataset.objects.get()
        fields = self.target.form
        forms = [form_data(dataset, form_key=key, name=f"hats {key[:4]}", **fields) for key in form_keys]
        return self.post("alice", *(("/jobs/new/", form) for form in forms), killer=killer)

    def knock(self, *events: Any) -> None:
        posts = [(self.hook, each) for each in events]
        assert self.post("stranger", *posts, content_type="application/json") == 0

    def cancel(self, job: Job) -> None:
        """The web refuses in plain words what is over, or cannot be cancelled there."""
        assert self.post("alice", (f"/jobs/{job.pk}/cancel/", {})) == 0

    def check_file(self, job: Job) -> None:
        assert self.post("alice", (f"/jobs/{job.pk}/copy/", {})) == 0

    def approve(self, job: Job) -> None:
        assert self.post("dana", (f"/jobs/{job.pk}/approve/", {})) == 0

    def decide(self, job: Job, decision: str) -> None:
        assert self.post("dana", (f"/jobs/{job.pk}/decide/", {"decision": decision})) == 0


def is_at_rest() -> bool:
    moving = Job.objects.exclude(state__in=(*ENDED, State.NEEDS_DECISION)).exists()
    moving = moving or Job.objects.filter(file_check_requested_at__isnull=False).exists()
    carried = not Transfer.objects.filter(finished_at=None).exists()
    trained = not Training.objects.filter(is_over=False).exists()
    return carried and trained and not moving and not Delivery.objects.filter(processed_at=None).exists()


def new_form_key() -> str:
    return str(uuid.uuid4())


@contextmanager
def having(values: dict[str, Any]) -> Iterator[None]:
    """With these settings."""
    before = {name: getattr(settings, name) for name in values}
    for name, value in values.items():
        setattr(settings, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(settings, name, value)


@dataclass
class Workshop:
    """Prepares a folder and gives out portals on copies of it."""

    root: Path
    target: Target
    people: dict[str, Client] = field(default_factory=dict)
    hook: str = ""
    made: int = 0

    def prepare(self) -> None:
        folder = self.root / "prepared"
        folder.mkdir(parents=True)
        if not databases.URL:
            shutil.copy(prepared.built() / "portal.sqlite3", folder)
        databases.copy(prepared.built(), folder)
        with self.target.fake() as fake, having(self.target.settings(fake.url)), self.at(folder):
            Connection.objects.update(due_at=now())
            alice, dana = person("alice", User.Role.MAKER), person("dana", User.Role.ADMIN)
            self.people = {"alice": signed_in(alice), "dana": signed_in(dana), "stranger": Client()}
            self.target.connect()
            dataset = make_dataset(alice, stored=False, data=ZIP)
            schedule_transfer(dataset, default())
            self.hook = webhooks.new_address(actor=dana).removeprefix(settings.PORTAL_URL)
            self.people["alice"].get("/jobs/new/")  # what is loaded here, no child has to load

    @contextmanager
    def portal(self) -> Iterator[Portal]:
        self.made += 1
        folder = self.root / str(self.made)
        target = self.target
        with (
            target.fake() as fake,
            Proxy(fake.url, target.call_of) as proxy,
            having(target.settings(proxy.url)),
            self.copy(folder),
        ):
            yield Portal(folder, self.people, self.hook, target, fake, proxy)

    @contextmanager
    def copy(self, folder: Path) -> Iterator[None]:
        """A fresh copy of the prepared folder, in use until the end and then gone."""
        shutil.copytree(self.root / "prepared", folder)
        databases.copy(self.root / "prepared", folder)
        try:
            with self.at(folder):
                yield
        finally:
            databases.drop(folder)
            shutil.rmtree(folder)

    @contextmanager
    def at(self, folder: Path) -> Iterator[None]:
        """Let this process and its children use the database and the files of this folder."""
        folder.mkdir(parents=True, exist_ok=True)
        was, settings.DATA_DIR = settings.DATA_DIR, folder
        before = connections["default"]
        options = {**before.settings_dict, "NAME": databases.name_of(folder)}
        connections["default"] = ConnectionHandler({"default": options})["default"]
        try:
            yield
        finally:
            connections["default"].close()
            connections["default"], settings.DATA_DIR = before, was
