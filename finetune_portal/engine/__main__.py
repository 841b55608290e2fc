"""The engine's own manage.py: `python -m finetune_portal.engine COMMAND`. Without a command it serves."""

from __future__ import annotations

import os
import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from finetune_portal import env

if __name__ == "__main__":
    env.keep_data_private()
    env.raise_file_limit()
    os.environ["DJANGO_SETTINGS_MODULE"] = "finetune_portal.engine.settings"
    try:
        settings.INSTALLED_APPS  # noqa: B018 - reads every variable
    except ImproperlyConfigured as exc:
        sys.exit(str(exc))
    execute_from_command_line(["engine", *(sys.argv[1:] or ["serve"])])
