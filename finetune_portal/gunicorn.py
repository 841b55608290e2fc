"""How gunicorn serves the web process: its own ASGI worker, one port, no control socket."""

from __future__ import annotations

from typing import Any

from finetune_portal import env

bind = f"{env.text('HOST', '127.0.0.1')}:{env.integer('PORT', 8000)}"
worker_class = "asgi"
asgi_lifespan = "off"  # Django refuses the lifespan scope
workers = env.integer("WEB_WORKERS", 2, least=1)
timeout = 60
graceful_timeout = 5
control_socket_disable = True
loglevel = "warning"
accesslog = "-" if env.flag("PORTAL_ACCESS_LOG") else None
forwarded_allow_ips = env.text("PORTAL_PROXIES", "127.0.0.1")


def post_worker_init(worker: Any) -> None:
    """Let the live streams see that this process was told to stop, else each holds it until the timeout."""
    worker.state["is_serving"] = lambda: worker.alive
