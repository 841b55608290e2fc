"""How gunicorn serves the web process: its own ASGI worker, one port, no control socket."""

from __future__ import annotations

from typing import Any

from finetune_portal import env

bind = env.socket_address(env.text("HOST", "127.0.0.1"), env.integer("PORT", 8000))
worker_class = "asgi"
asgi_lifespan = "off"  # Django refuses the lifespan scope
workers = env.integer("WEB_WORKERS", 2, least=1)
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
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": [], "level": "WARNING"},
    "loggers": {
        "gunicorn.error": {"handlers": ["console"], "level": "WARNING", "propagate": False},
        "gunicorn.access": {"handlers": ["console"], "level": _requests, "propagate": False},
    },
}
forwarded_allow_ips = env.text("PORTAL_PROXIES", "127.0.0.1")


def post_worker_init(worker: Any) -> None:
    """Tell the live streams that this process stops; else each would hold it until the timeout."""
    worker.state["is_serving"] = lambda: worker.alive
