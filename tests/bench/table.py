"""The table with 1,000 and with 100,000 jobs, then these over 200 private projects.

`python -m tests.bench.table`. Of the projects a member of one and a member of none look, beside the admin.

Server time (CPU, p50 of 30) and queries of the first page, a filtered page and page 1,000 (or the last),
beside the login page; in one process, on SQLite, without the network.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.bench.in_process import portal

if TYPE_CHECKING:  # they can be imported only when Django is set up
    from django.test import Client

    from finetune_portal.accounts.models import User

ROUNDS = 30


def bench() -> None:
    from django.test import Client

    from finetune_portal.accounts.models import User
    from finetune_portal.connections import services as connections

    user = User.objects.create_user("ada@example.com", "not used here", name="Ada", role="admin")
    others = [User.objects.create_user(f"m{n}@example.com", "x", name=f"M{n}") for n in range(9)]
    connections.built_in()
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user)
    say(f"{'':<28}{'1,000 jobs':>16}{'100,000 jobs':>16}{'ratio':>8}{'queries':>10}")
    few: dict[str, tuple[float, int]] = {}
    many: dict[str, tuple[float, int]] = {}
    for results, number in ((few, 1_000), (many, 100_000)):
        fill(number, [user, *others])
        for name, url in pages(number).items():
            results[name] = measure(client, url)
    login = measure(Client(SERVER_NAME="127.0.0.1"), "/login/")[0]
    for name, (a, queries_a) in few.items():
        b, queries_b = many[name]
        times = f"{b / login:>7.1f} x login"
        say(f"{name:<28}{a:>13.1f} ms{b:>13.1f} ms{b / a:>8.2f}{queries_a:>6} = {queries_b}{times}")
    say(f"{'the login page':<28}{login:>13.1f} ms")
    measure_private({"the admin": user, "a member of one": others[0], "a member of none": others[1]}, many)


def measure_private(viewers: dict[str, User], open_: dict[str, tuple[float, int]]) -> None:
    """The same pages once all jobs but the last 1,000 are in private projects."""
    from django.test import Client

    from finetune_portal.jobs.models import Job
    from finetune_portal.projects.models import Member, Project

    names = (f"project {n}" for n in range(200))
    rows = [Project(name=name, folded_name=name, is_private=True) for name in names]
    projects = Project.objects.bulk_create(rows)
    newest = Job.objects.order_by("-pk").values_list("pk", flat=True)[999]
    for number, project in enumerate(projects):
        keys = range(projects[0].pk + number, newest, len(projects))
        Job.objects.filter(pk__in=list(keys)).update(project=project)
    Member.objects.create(project=projects[0], user=viewers["a member of one"])
    urls = pages(100_000) | {"the last that one sees": "/?sort=oldest"}
    say(f"\n{'200 private projects':<28}" + "".join(f"{who:>20}" for who in ("open", *viewers)))
    clients = {}
    for who, viewer in viewers.items():
        clients[who] = Client(SERVER_NAME="127.0.0.1")
        clients[who].force_login(viewer)
    for name, url in urls.items():
        times = [open_[name][0] if name in open_ else 0.0]
        times += [measure(client, url)[0] for client in clients.values()]
        say(f"{name:<28}" + "".join(f"{time:>17.1f} ms" for time in times))


def fill(number: int, people: list[User]) -> None:
    from django.utils.timezone import now

    from finetune_portal.connections import services as connections
    from finetune_portal.jobs.models import Job

    built_in = connections.built_in()
    have, states = Job.objects.count(), ["ready"] * 17 + ["failed", "refused", "training"]
    rows = (
        Job(
            name=f"Training {n}",
            connection=built_in,
            owner=people[n % len(people)],
            state=states[n % 20],
            steps=300 + n % 700,
            learning_rate=0.0004,
            request_id=f"id-{n}",
            created_at=now() - timedelta(minutes=number - n),
            sent_at=now(),
            ended_at=None if n % 20 == 19 else now(),
        )
        for n in range(have, number)
    )
    Job.objects.bulk_create(rows, batch_size=2_000)


def pages(number: int) -> dict[str, str]:
    from finetune_portal.jobs.models import Job

    far = min(number // 50 - 1, 999)
    key = Job.objects.order_by("-pk").values_list("pk", flat=True)[far * 50]
    return {
        "first page": "/",
        "filtered: failed": "/?state=failed",
        "filtered: one person": "/?mine=on",
        "sorted by name": "/?sort=name",
        "page 1,000 (20 of the few)": f"/?before={key}",
    }


def measure(client: Client, url: str) -> tuple[float, int]:
    """CPU milliseconds of this process, the database's share included, and the number of queries."""
    from django.db import connection

    asked: list[str] = []

    def count(execute: Callable[..., object], sql: str, *rest: object) -> object:
        asked.append(sql)
        return execute(sql, *rest)

    client.get(url)
    with connection.execute_wrapper(count):
        assert client.get(url).status_code == 200
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        client.get(url)
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times), len([sql for sql in asked if sql.startswith("SELECT")])


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    with portal():
        bench()
