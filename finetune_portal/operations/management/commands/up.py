"""`manage.py up`: run web, worker and, unless a provider is configured, the local engine on one machine."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from finetune_portal import env
from finetune_portal.accounts.services import first_admin_link
from finetune_portal.operations import data_folder
from finetune_portal.operations.listening import ListenError, must_be_free
from finetune_portal.operations.supervisor import Child, say, supervise
from finetune_portal.web import outbound
from finetune_portal.webhooks.services import local_endpoint_url

# What django-htmx brings beside the htmx that the pages load; compressing it would double the start.
UNUSED_STATIC = ["ext", "htmx-4*", "htmax-*"]


class Command(BaseCommand):
    """Prepare the database and the static files, then supervise the processes until Ctrl-C."""

    help = "Start the portal: web, worker and, without SEGMIND_BASE_URL, the local engine."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            must_be_free(env.text("HOST", "127.0.0.1"), env.integer("PORT", 8000), "HOST", "PORT")
            if settings.LOCAL_ENGINE:
                must_be_free(settings.ENGINE_HOST, settings.ENGINE_PORT, "ENGINE_HOST", "ENGINE_PORT")
        except ListenError as error:
            raise CommandError(str(error)) from None
        if sentence := data_folder.problem(settings.DATA_DIR) or data_folder.database_problem():
            raise CommandError(sentence)
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=UNUSED_STATIC)
        if settings.LOCAL_ENGINE and env.secret("SEGMIND_API_KEY"):
            say("up", "SEGMIND_API_KEY is set but SEGMIND_BASE_URL is not: the local engine is used.")
        children = _children()
        trains = _trains(children[-1]) if settings.LOCAL_ENGINE else ""
        link = first_admin_link()
        sys.exit(supervise(children, ready=lambda: _welcome(link, trains)))


def _children() -> list[Child]:
    python, manage = sys.executable, str(settings.BASE_DIR / "manage.py")
    environment = env.whole()
    if settings.LOCAL_ENGINE:  # it signs its webhooks with this secret, and the portal verifies them
        kept = settings.DATA_DIR / "secrets" / "engine-hook-secret"
        environment["ENGINE_WEBHOOK_SECRET"] = env.kept_secret("ENGINE_WEBHOOK_SECRET", kept)
    serve = [python, "-m", "gunicorn", *_SERVE]
    children = [
        Child("web", serve, _few_arenas(environment), is_answering=_web_answers),
        Child("worker", [python, manage, "work"], environment),
    ]
    if settings.LOCAL_ENGINE:
        own = {
            "ENGINE_API_KEY": settings.SEGMIND_API_KEY,
            "ENGINE_WEBHOOK_URL": env.text("ENGINE_WEBHOOK_URL") or local_endpoint_url(),
        }
        children.append(Child("engine", [python, "-m", "finetune_portal.engine"], {**environment, **own}))
    return children


def _few_arenas(environment: dict[str, str]) -> dict[str, str]:
    """Limit glibc to two heaps a process, where the operator says nothing else.

    It makes one for each of the web process's threads, and each keeps what the hash of a password took:
    after a minute of `tests.bench.soak` 358 MiB instead of 196.
    """
    return {"MALLOC_ARENA_MAX": "2", **environment}


def _trains(engine: Child) -> str:
    """Return what the engine says that it trains. Raises CommandError for what keeps it from training."""
    result = subprocess.run(  # nosec B603  # our own command
        [*engine.command, "trainer"],
        env=dict(engine.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise CommandError(result.stderr.strip().removeprefix("CommandError: "))
    return result.stdout.strip()


_SERVE = ["--config", "python:finetune_portal.gunicorn", "finetune_portal.asgi:application"]


def _web_answers() -> bool:
    return outbound.is_answering(f"{settings.WEB_URL}/healthz", seconds=15.0)


def _welcome(link: str | None, trains: str) -> None:
    """Print where to go, once the web process answers; say after half a minute that it does not yet."""
    late = time.monotonic() + 30
    while not outbound.is_answering(f"{settings.WEB_URL}/healthz"):
        if time.monotonic() > late:
            late = math.inf
            say("up", "The portal does not answer yet. Its lines above may say why.")
        time.sleep(0.1)
    say("up", f"The portal is ready: {settings.PORTAL_URL}")
    if link:
        say("up", f"Create the first admin here (one-time link, good for a day): {link}")
    if settings.LOCAL_ENGINE:
        say("up", f"The local engine answers on {settings.SEGMIND_BASE_URL}. {trains}")
    say("up", "Ctrl-C stops everything.")
