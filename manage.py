#!/usr/bin/env python
"""Django's command line for the portal. Any Python can read this file, so that it can say what is missing."""

import os
import sys


def missing():  # noqa: ANN201
    # type: () -> str
    """Return what this machine lacks and what to do, in a sentence; empty if it has all."""
    if sys.version_info < (3, 11):  # noqa: UP036 - that is what the sentence is for
        version = ".".join(map(str, sys.version_info[:2]))
        return (
            "The portal needs Python 3.11 or newer; this is " + version + ". Name a newer one, such as: "
            "PYTHON=python3.12 make run"
        )
    try:
        import fcntl  # noqa: F401, PLC0415
    except ImportError:
        return (
            "The portal runs on Linux and macOS, not on Windows itself. Use WSL2 or Docker there: "
            "see Start in README.md."
        )
    try:
        import django  # noqa: F401, PLC0415
    except ImportError:
        return (
            sys.executable
            + " lacks the portal's packages. Start with: make run, or install them: "
            + sys.executable
            + " -m pip install -r requirements.txt"
        )
    return ""


if __name__ == "__main__":
    sentence = missing()
    if sentence:
        sys.exit(sentence)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finetune_portal.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from finetune_portal import env

    env.keep_data_private()
    env.raise_file_limit()
    try:
        settings.INSTALLED_APPS  # noqa: B018 - reads every variable
    except ImproperlyConfigured as exc:
        sys.exit(str(exc))
    execute_from_command_line(sys.argv)
