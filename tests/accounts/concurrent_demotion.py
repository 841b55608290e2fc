"""Demote two admins at the same moment, twenty times. Prints how many stay each time."""

from __future__ import annotations

import sys
from threading import Barrier, Thread

import django
from django.core.management import call_command
from django.db import connection, connections

django.setup()

from finetune_portal.accounts import services  # noqa: E402 - needs the apps loaded
from finetune_portal.accounts.models import User  # noqa: E402


def demote(user: User, start: Barrier) -> None:
    start.wait()
    try:
        services.set_role(user, User.Role.MAKER, actor=None)
    except services.LastAdminError:
        pass
    finally:
        connections.close_all()


def main() -> None:
    if not connection.introspection.table_names():  # there are, where the test prepared the folder
        call_command("migrate", verbosity=0)
    admins = [
        User.objects.create_user(f"{name}@example.com", name=name, role="admin") for name in ("dana", "erin")
    ]
    for _ in range(20):
        User.objects.update(role=User.Role.ADMIN)
        start = Barrier(2)
        threads = [Thread(target=demote, args=(user, start)) for user in admins]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sys.stdout.write(f"{User.objects.filter(role=User.Role.ADMIN).count()} ")


if __name__ == "__main__":
    main()
