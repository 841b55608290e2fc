"""Migrate the database, then serve until SIGTERM or Ctrl-C.

One worker process with threads answers the calls, moves the jobs and sends the webhooks.
"""

from __future__ import annotations

import fcntl
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import BaseCommand, CommandError, call_command
from django.core.wsgi import get_wsgi_application
from django.db import DatabaseError, connections
from gunicorn.app.base import BaseApplication

from finetune_portal import env
from finetune_portal.engine import outbox, runner
from finetune_portal.engine.trainers.current import TrainerUnavailableError, current_trainer

THREADS, CONNECTIONS = 16, 1000
LOCK_SECONDS = 4.0


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn, configured here and not by files or command line."""

    def load_config(self) -> None:
        options = {
            "bind": env.socket_address(settings.HOST, settings.PORT),
            "worker_class": "finetune_portal.engine.gunicorn_worker.LimitedWorker",
            "worker_connections": min(CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2),
            "workers": 1,
            "threads": THREADS,
            "timeout": 60,
            "graceful_timeout": 3,
            "keepalive": 5,
            "accesslog": None,
            "loglevel": "warning",
            "control_socket_disable": True,
            "proc_name": "finetune-engine",
            "post_fork": _hand_over_signals,
            "post_worker_init": _start_threads,
            "worker_exit": _stop_threads,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> WSGIHandler:
        return get_wsgi_application()


class Command(BaseCommand):
    help = "Serve the local engine."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            current_trainer()
        except TrainerUnavailableError as error:
            raise CommandError(str(error)) from None
        with _problems_in_a_sentence():
            settings.STORAGE_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (settings.ENGINE_DIR / "lock").open("w")
        with lock:
            _take_lock(lock.fileno(), settings.ENGINE_DIR)
            with _problems_in_a_sentence():
                for draft in settings.STORAGE_DIR.rglob(".*.part"):
                    draft.unlink()  # of a file that a killed process was writing
                call_command("migrate", verbosity=0, interactive=False)
                outbox.adopt_operators_webhook()
            connections.close_all()  # a connection must not go through a fork
            self.stdout.write(f"The engine answers on {env.near_url(settings.HOST, settings.PORT)}")
            self.stdout.flush()
            Server().run()


@contextmanager
def _problems_in_a_sentence() -> Iterator[None]:
    """Say what cannot be used and what to do, instead of a traceback."""
    try:
        yield
    except OSError as exc:
        raise CommandError(env.not_usable(Path(exc.filename), str(exc.strerror))) from None
    except DatabaseError as exc:
        path = settings.DATABASES["default"]["NAME"]
        raise CommandError(f"The database {path} cannot be used: {exc}.") from None


def _take_lock(lock: int, folder: Path) -> None:
    """Allow one engine a folder. The worker of a killed engine lets go within a second or two."""
    deadline = time.monotonic() + LOCK_SECONDS
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.1)
    raise CommandError(f"Another engine is at work in {folder}. Stop it first, or set DATA_DIR.")


def _hand_over_signals(server: Any, worker: Any) -> None:
    worker.inherited_signals = server.SIG_QUEUE


def _start_threads(worker: Any) -> None:
    runner.start()  # here, because threads do not survive a fork
    outbox.poller.start()


def _stop_threads(server: Any, worker: Any) -> None:
    runner.poller.stop()
    outbox.poller.stop()
