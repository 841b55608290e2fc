"""An account with many jobs from elsewhere: `python -m tests.bench.foreign_jobs [jobs [seconds]]`.

A new portal finds so many jobs (10,000) in its account, and polls every so many seconds (20), while one job
of the team trains. Prints how long it takes until all are adopted and until all have their details, the
longest gap between two looks at the team's job, the least time that the lease had left, and the memory.
"""

from __future__ import annotations

import resource
import sys
import time
from itertools import count as count_up
from itertools import islice, pairwise
from typing import Any

from tests.bench.in_process import portal
from tests.provider import ScriptedProvider


def bench(provider: ScriptedProvider, count: int, seconds: float) -> None:
    from django.conf import settings
    from django.utils.timezone import now

    from finetune_portal.accounts.models import User
    from finetune_portal.connections import services as connections
    from finetune_portal.connections.models import Connection
    from finetune_portal.jobs.models import Job
    from finetune_portal.jobs.sync import apply_list, poll

    settings.SEGMIND_BASE_URL, settings.SEGMIND_API_KEY, settings.LOCAL_ENGINE = (
        provider.url,
        provider.key,
        False,
    )
    settings.POLL_SECONDS = settings.POLL_IDLE_SECONDS = seconds
    provider.states = ("AVAILABLE",)
    for number in range(count):
        provider.adds(f"elsewhere {number}", advance_parameters={"steps": 300, "learning_rate": 0.0004})
    own = provider.adds("own")
    own.status = "TRAINING_INITIATED"
    user = User.objects.create_user("ada@example.com", "not used here", name="Ada", role="admin")
    own_pk = Job.objects.create(
        name="own",
        owner=user,
        connection=(connection := connections.built_in()),
        request_id=own.id,
        state="training",
        sent_at=now(),
    ).pk
    looks, leases = [time.monotonic()], []

    apply, counter = apply_list._apply, count_up()

    def watch(job: Job, *rest: Any) -> None:
        apply(job, *rest)
        if job.pk == own_pk:
            looks.append(time.monotonic())
        if next(counter) % 100 == 0:
            expires_at = Connection.objects.get(pk=connection.pk).lease_expires_at
            leases.append((expires_at - now()).total_seconds() if expires_at else 0.0)

    apply_list._apply = watch  # type: ignore[assignment]
    begun, polls, adopted_at = time.monotonic(), [], 0.0
    foreign = Job.objects.filter(owner=None)
    while True:
        at = time.monotonic()
        if not poll.poll_next():
            time.sleep(0.1)
            continue
        polls.append(time.monotonic() - at)
        adopted, partial = foreign.count(), foreign.filter(provider_data__partial=True).count()
        elapsed = time.monotonic() - begun
        say(f"{elapsed:7.1f} s: {adopted} adopted, {partial} without details; took {polls[-1]:.1f} s")
        adopted_at = adopted_at or (elapsed if adopted == count else 0.0)
        if adopted == count and not partial:
            break
    gaps = [later - earlier for earlier, later in pairwise(looks)]
    say(f"all {count} adopted after {adopted_at:.0f} s, with details after {elapsed:.0f} s")
    say(f"{len(polls)} polls, one every {seconds:.0f} s; the longest took {max(polls):.1f} s")
    say(f"the team's job was looked at {len(looks) - 1} times, the longest gap was {max(gaps):.1f} s")
    say(f"the lease had at least {min(leases):.0f} s left")
    say(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = [float(text) for text in sys.argv[1:]]
    count, seconds = islice([*given, *[10_000, 20.0][len(given) :]], 2)
    with portal(), ScriptedProvider() as provider:
        bench(provider, int(count), seconds)
