"""How gunicorn serves the web process: its ASGI worker with limits, one port, no control socket."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from typing import Any

from finetune_portal import env

env.keep_data_private()  # here, as the preloaded application makes files before `on_starting`
bind = env.socket_address(env.text("HOST", "127.0.0.1"), env.integer("PORT", 8000))
worker_class = "finetune_portal.web.gunicorn_worker.LimitedWorker"
worker_connections = env.integer("PORTAL_CONNECTIONS", 4096, least=16)
asgi_lifespan = "off"  # Django refuses the lifespan scope
workers = env.integer("WEB_WORKERS", 2, least=1)
preload_app = True  # loaded once: a worker is a fork, which starts at once and shares the memory
DEATHS_WITHIN = 60.0  # seconds
_deaths: deque[float] = deque(maxlen=5 * workers)
timeout = 60
graceful_timeout = 5
control_socket_disable = True
loglevel = "warning"
_requests = "INFO" if env.flag("PORTAL_ACCESS_LOG") else "CRITICAL"
# By way of the portal's own formatter, so that no address that is a secret stays in a line.
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "finetune_portal.web.logs.RedactingFormatter", "as_json": env.flag("PORTAL_LOG_JSON")}
    },
    "filters": {"repeats": {"()": "finetune_portal.web.logs.RepeatFilter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["repeats"]}},
    "root": {"handlers": [], "level": "WARNING"},
    "loggers": {
        "gunicorn.error": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "gunicorn.access": {"handlers": ["console"], "level": _requests, "propagate": False},
    },
}
forwarded_allow_ips = env.text("PORTAL_PROXIES", "127.0.0.1")


def on_starting(server: Any) -> None:
    env.raise_file_limit()


def post_fork(server: Any, worker: Any) -> None:
    worker.inherited_signals = server.SIG_QUEUE


def child_exit(server: Any, worker: Any) -> None:
    """End the whole when its workers die in a row, for `up` to start: what they inherit may be the cause."""
    _deaths.append(time.monotonic())
    if len(_deaths) == _deaths.maxlen and _deaths[-1] - _deaths[0] < DEATHS_WITHIN:
        server.log.error("%s workers died within %.0f s; ending.", len(_deaths), DEATHS_WITHIN)
        os.kill(os.getpid(), signal.SIGTERM)


def post_worker_init(worker: Any) -> None:
    """Tell the live streams that this process stops; else each would hold it until the timeout."""
    worker.state["is_serving"] = lambda: worker.alive
