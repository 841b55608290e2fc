"""Inside the account's limit of calls, and through hours without a provider (S10, S15, A1, A7)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import banners
from finetune_portal.connections.banners import Banner
from finetune_portal.connections.client import adapter_for_user_action
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from finetune_portal.providers.contract import Handle
from finetune_portal.providers.errors import RateLimitedError
from finetune_portal.webhooks.models import Delivery
from tests.faults.limited import Limited
from tests.faults.portal import WORK, pass_time
from tests.people import make_dataset, make_job, signed_in
from tests.provider import breaks
from tests.worker.driving import point_at, text_of

Say = Callable[[str], None]

ACTIVE = 200
TICK = 4.0
CHANGE = 2.0  # seconds from one change at the provider to the next
CLICK = 64.0  # one call of each minute is left for people
NOTICED = 80.0  # seconds until the next look at the slowest plan, and a tick
STATES = ("DATA_PROCESSING", "TRAINING_INITIATED", "TRAINING_COMPLETED", "AVAILABLE")


@pytest.fixture(autouse=True)
def remote(settings: Any, db: None) -> None:
    """The pauses of a provider that is far away."""
    settings.POLL_SECONDS, settings.POLL_IDLE_SECONDS = 20.0, 120.0


@pytest.fixture
def fake(settings: Any) -> Iterator[Limited]:
    with Limited() as running:
        running.states = ("REQUESTED",)
        point_at(settings, running)
        yield running


def tick(fake: Limited, seconds: float = TICK) -> None:
    """The worker does all that is due; then it is `seconds` after the last tick, however slow the machine."""
    while sum(task.step() for task in WORK):
        pass
    rest = max(0.0, fake.ticked + seconds - fake.clock)
    pass_time(timedelta(seconds=rest))
    fake.passed += rest
    fake.ticked = fake.clock


def followed(owner: User, fake: Limited, count: int) -> list[Job]:
    jobs = []
    for number in range(count):
        paid = fake.adds(f"hats {number}")
        jobs.append(make_job(owner, "requested", request_id=paid.id, provider_status=paid.status))
    return jobs


def advance(fake: Limited, choice: random.Random) -> str | None:
    """One training goes one state further at the provider; answers which."""
    paid = choice.choice(fake.jobs)
    further = STATES[STATES.index(paid.status) + 1 :] if paid.status in STATES else STATES
    if not further:
        return None
    paid.status = further[0]
    return paid.id


def oldest(fake: Limited, since: dict[str, float]) -> float:
    """For how long, at most, a state of the provider has not been shown here. Forgets what is shown."""
    shown = dict(Job.objects.exclude(request_id=None).values_list("request_id", "provider_status"))
    statuses = {paid.id: paid.status for paid in fake.jobs}
    for key in [key for key in since if shown.get(key) == statuses[key]]:
        del since[key]
    return max((fake.clock - moment for moment in since.values()), default=0.0)


def busiest(fake: Limited, since: float = 0.0) -> int:
    """The most calls in a minute of the kind that the limit counts, after that moment."""
    arrived = [moment for moment in fake.arrived if moment > since]
    if not fake.sliding:
        return max(Counter(moment // 60 for moment in arrived).values(), default=0)
    return max((sum(first <= moment < first + 60 for moment in arrived) for first in arrived), default=0)


def click(job: Job) -> bool:
    """Somebody makes a model public. False if they are told to wait."""
    try:
        with adapter_for_user_action(job.connection) as adapter:
            adapter.set_public(Handle(str(job.request_id)), public=True)
    except RateLimitedError:
        return False
    return True


def keep_pace(
    fake: Limited, alice: User, dataset: Dataset, say: Say, *, minutes: int, step: float = TICK
) -> None:
    """Two hundred active jobs, more to send, a hook for every third change, a person each minute."""
    jobs = followed(alice, fake, ACTIVE)
    waiting = [make_job(alice, dataset=dataset) for _ in range(2 * minutes)]
    since: dict[str, float] = {}
    choice, age, next_click, waits = random.Random(5), 0.0, fake.clock + CLICK, 0
    for number in range(int(minutes * 60 / CHANGE)):
        if changed := advance(fake, choice):
            since.setdefault(changed, fake.clock)
            if number % 3 == 0:
                Delivery.objects.create(request_id=changed, size=1)
        if number * CHANGE % step == 0:
            tick(fake, step)
            age = max(age, oldest(fake, since))
        if fake.clock >= next_click:
            is_heard = click(jobs[0])
            next_click, waits = next_click + CLICK * is_heard, waits + (not is_heard)
    sent = Job.objects.filter(pk__in=[job.pk for job in waiting]).exclude(request_id=None).count()
    lists, details, clicks = (len(fake.sent(call)) for call in ("list", "details", "set_public"))
    say(
        f"{ACTIVE} active jobs, {minutes} min: {busiest(fake)} calls a minute at most, {len(fake.refused)} "
        f"refused, oldest state {age:.0f} s; {lists} lists, {sent} sent, {details} details, {clicks} clicks "
        f"of people, {waits} in vain"
    )
    assert fake.refused == []
    assert age <= 60
    assert fake.sliding or not waits, "people find a call for them"
    assert clicks >= minutes - 1
    assert sent >= minutes, "trainings are sent beside it"
    assert fake.sliding or sent + details >= minutes * 3 // 2, "and details are asked for"
    assert not Connection.objects.exclude(failing_since=None).exists()


@pytest.mark.long
def test_five_calls_a_minute_are_never_overdrawn(
    fake: Limited, alice: User, dataset: Dataset, say: Say
) -> None:
    keep_pace(fake, alice, dataset, say, minutes=3)


@pytest.mark.slow
@pytest.mark.parametrize("sliding", [False, True])
@pytest.mark.parametrize("skew", [0.0, 300.0, -300.0])
def test_whatever_kind_of_minute_and_clock(
    fake: Limited, alice: User, dataset: Dataset, say: Say, sliding: bool, skew: float
) -> None:
    fake.sliding, fake.skew = sliding, skew
    keep_pace(fake, alice, dataset, say, minutes=8, step=2.0)


def test_a_limited_neighbour_is_not_asked_all_at_once(
    fake: Limited, alice: User, dataset: Dataset, say: Say, settings: Any
) -> None:
    """On this machine one look a second is usual; a limit spreads them over the minute."""
    settings.POLL_SECONDS, settings.POLL_IDLE_SECONDS = 1.0, 10.0
    keep_pace(fake, alice, dataset, say, minutes=2)


@pytest.mark.parametrize("poll", [20.0, pytest.param(1.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("sliding", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.long
def test_a_limit_that_is_set_holds_without_any_header(
    fake: Limited, alice: User, say: Say, settings: Any, poll: float, sliding: bool
) -> None:
    settings.LOCAL_ENGINE, settings.CALLS_A_MINUTE, settings.POLL_SECONDS = False, 5, poll
    fake.sliding, fake._headers = sliding, lambda moment: {}  # type: ignore[method-assign]
    keep_pace(fake, alice, make_dataset(alice), say, minutes=3)


def test_without_headers_it_waits_after_a_429(alice: User, dataset: Dataset, fake: Limited) -> None:
    """A7: a provider that tells no limit is heard when it says no; nothing is called a failure."""
    fake._headers = lambda moment: {}  # type: ignore[method-assign]
    jobs = [make_job(alice, dataset=dataset) for _ in range(12)]
    for _ in range(60):
        tick(fake, 10)
    assert len(fake.refused) <= 10 * 2, "one or two a minute, not one a try"
    assert Connection.objects.get().failing_since is None
    assert Job.objects.filter(pk__in=[job.pk for job in jobs]).exclude(request_id=None).count() == len(jobs)
    assert len(fake.jobs) == len(jobs)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["503", "refused"])
def test_two_hours_away_and_back(fake: Limited, alice: User, dataset: Dataset, say: Say, how: str) -> None:
    """A1, S15: without a person. One answer was lost just before."""
    jobs = followed(alice, fake, 20)
    fake.script("submit", breaks("close", taken=True))
    fake.late = 10
    lost = make_job(alice, dataset=dataset)
    tick(fake)
    assert state_of(lost) == "unconfirmed"
    fake.late = 0
    fake.is_away = True
    if how == "refused":
        fake.stop()
    left = fake.clock
    queued = sit_it_out(fake, jobs, dataset)
    away, looks = busiest(fake, left), Connection.objects.get().attempts
    for paid in fake.jobs[:20]:
        paid.status = "AVAILABLE"

    fake.is_away = False
    if how == "refused":
        fake.start()
    gone = come_back(fake)
    say(
        f"away for two hours ({how}): {looks} looks, at most {away} calls a minute, banner gone {gone:.0f} s "
        f"after its end, {len(fake.refused)} refused, {len(jobs) + 1 + len(queued)} jobs right"
    )
    assert 0 < gone <= 400, "the longest pause between two looks, and one look"
    assert away <= fake.calls
    assert 20 < looks < 40, "ever more seldom, but at least each six minutes"
    assert how == "refused" or len([moment for moment in fake.arrived if moment > left]) >= looks
    assert fake.refused == []
    assert {state_of(job) for job in jobs} == {"ready"}
    assert {state_of(job) for job in [lost, *queued]} == {"requested"}
    assert len(fake.jobs) == len(jobs) + 1 + len(queued), "each once"


def state_of(job: Job) -> str:
    return Job.objects.get(pk=job.pk).state


def sit_it_out(fake: Limited, jobs: list[Job], dataset: Dataset) -> list[Job]:
    """Two hours, in which people start trainings and hooks come."""
    began, before, queued = fake.clock, [state_of(job) for job in jobs], list[Job]()
    while fake.clock < began + 7200:
        tick(fake, 20 if fake.clock < began + 120 else 60)
        if not queued and fake.clock > began + 900:
            queued = [make_job(dataset.owner, dataset=dataset) for _ in range(8)]
            Delivery.objects.bulk_create(Delivery(request_id=str(job.request_id), size=1) for job in jobs)
        shown = banners.current()
        if shown or fake.clock > began + NOTICED:
            is_true(shown, fake.clock - began)
    assert "continue by themselves" in text_of(signed_in(dataset.owner))
    assert len([moment for moment in fake.arrived if moment > began + 3600]) <= 20
    assert [state_of(job) for job in jobs] == before
    assert {state_of(job) for job in queued} == {"queued"}
    return queued


def is_true(shown: list[Banner], seconds: float) -> None:
    """One banner, which tells since when and how old the states are: as old as the last answer before it."""
    assert len(shown) == 1
    assert "Jobs wait and continue by themselves." in shown[0].text
    assert shown[0].since
    assert shown[0].as_of
    assert abs((now() - shown[0].since).total_seconds() - seconds) < NOTICED
    assert abs((shown[0].since - shown[0].as_of).total_seconds()) < NOTICED


def come_back(fake: Limited) -> float:
    """Twenty minutes. Answers for how long the banner stood: until the first answer, and no longer."""
    back, gone, lists = fake.clock, 0.0, len(fake.sent("list"))
    while fake.clock < back + 1200:
        tick(fake, 20)
        is_back = len(fake.sent("list")) > lists
        assert bool(banners.current()) != is_back, "the banner tells the truth"
        gone = gone or (fake.clock - back if is_back else 0.0)
    return gone
