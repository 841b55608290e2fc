"""The table with 1,000 and with 100,000 jobs: `python -m tests.bench.table`.

Server time (CPU, p50 of 30) and queries of the first page, a filtered page and page 1,000 (or the last),
beside the login page; in one process, on SQLite, without the network.
"""

from __future__ import annotations

import statistics
import sys
import time
from datetime import timedelta

from tests.bench.in_process import portal

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
    few, many = {}, {}
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


def fill(number: int, people: list[object]) -> None:
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


def measure(client: object, url: str) -> tuple[float, int]:
    """CPU milliseconds of this process, the database's share included, and the number of queries."""
    from django.db import connection

    asked: list[str] = []

    def count(execute: object, sql: str, *rest: object) -> object:
        asked.append(sql)
        return execute(sql, *rest)  # type: ignore[operator]

    client.get(url)  # type: ignore[attr-defined]
    with connection.execute_wrapper(count):
        assert client.get(url).status_code == 200  # type: ignore[attr-defined]
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        client.get(url)  # type: ignore[attr-defined]
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times), len([sql for sql in asked if sql.startswith("SELECT")])


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    with portal():
        bench()
