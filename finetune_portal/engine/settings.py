"""Settings of the local engine, all from the environment. docs/engine.md explains each variable."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from finetune_portal import env

ENGINE_DIR = env.data_dir() / "engine"
ROOM_LOCK = env.data_dir() / env.ROOM_LOCK
DISK_FLOOR_BYTES = env.disk_floor()
STORAGE_DIR = ENGINE_DIR / "storage"

SECRET_KEY = env.made_once(ENGINE_DIR / "secret-key")  # signs the storage URLs
API_KEY = env.kept_secret("ENGINE_API_KEY", ENGINE_DIR / "api-key")

HOST = env.text("ENGINE_HOST", "127.0.0.1")
PORT = env.integer("ENGINE_PORT", 8100, least=1)
URL = env.text("ENGINE_URL", f"http://{env.socket_address(HOST, PORT)}").rstrip(
    "/"
)  # for the nodes of a Ray cluster
TIME_SCALE = env.decimal("ENGINE_TIME_SCALE", 1.0)
URL_SECONDS = env.integer("ENGINE_URL_SECONDS", 3600, least=1)  # docs/provider-api.md, 6: valid for 1 hour

CREDITS = env.decimal("ENGINE_CREDITS", 1000.0)
PRICE_PER_STEP = 0.0025  # dollars; what peers ask (2.50 for 1,000 steps), Segmind names no price

WEBHOOK_URL = env.text("ENGINE_WEBHOOK_URL")
WEBHOOK_SECRET = env.secret("ENGINE_WEBHOOK_SECRET")
try:
    FETCH_ALLOW = [ip_network(item) for item in env.listing("ENGINE_FETCH_ALLOW")]
except ValueError as exc:
    raise ImproperlyConfigured(f"ENGINE_FETCH_ALLOW must be a list of networks: {exc}.") from None

DEBUG = False
ALLOWED_HOSTS = ["*"]  # every call but / and /healthz needs the key or a signature
INSTALLED_APPS = ["finetune_portal.engine"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]  # for Content-Length
ROOT_URLCONF = "finetune_portal.engine.urls"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024  # of an API call; uploads to the storage are streamed

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ENGINE_DIR / "engine.sqlite3",
        "CONN_MAX_AGE": 60,
        "OPTIONS": {
            "timeout": 10,
            "transaction_mode": "IMMEDIATE",
            # Django itself turns foreign_keys on.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON",
        },
    }
}

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).resolve().parent / "templates"],
    }
]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"repeats": {"()": "finetune_portal.engine.logs.RepeatFilter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["repeats"]}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    # The loggers of refused requests would write path and query, which hold signatures.
    "loggers": {
        "django.request": {"level": "CRITICAL"},
        "django.security": {"level": "CRITICAL"},
        "gunicorn.error": {"filters": ["repeats"]},
    },
}
