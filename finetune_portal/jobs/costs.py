"""What a job costs: its rows in the ledger of the costs app, one for each time that it may be charged.

The rows follow the states of the job (timeline.py). Jobs of the local engine and those that were started
outside the portal have none.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet
from django.utils.timezone import now

from finetune_portal.audit.services import redact
from finetune_portal.connections import prices
from finetune_portal.connections.models import Connection
from finetune_portal.costs import services as ledger
from finetune_portal.costs.models import Approval, Cost
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.choices import ENDED, FOLLOWED, State
from finetune_portal.jobs.models import Attempt, Job, JobEvent
from finetune_portal.projects.models import Project
from finetune_portal.providers.contract import Money

DOUBTED = (State.UNCONFIRMED, State.NEEDS_DECISION)
UNPAID = (State.REFUSED, State.CLOSED)  # a job that is closed by decision is not at the provider
WAITS, DECLINED = "Waits for an admin’s approval.", "Declined by "
FORGOTTEN = f"{DECLINED}an admin."
PAID = (*FOLLOWED, *(state for state in ENDED if state not in UNPAID))


def of(job: Job) -> ledger.Costs:
    """The costs of a job, the latest first."""
    return ledger.of(Cost.Kind.JOB, job.pk)


def bills_of(jobs: Iterable[int]) -> dict[int, list[Cost]]:
    """What each of the jobs with these keys was billed, the latest first, by one query."""
    bills: dict[int, list[Cost]] = {pk: [] for pk in jobs}
    rows = Cost.objects.filter(kind=Cost.Kind.JOB, subject__in=list(bills), state=Cost.State.BILLED)
    for cost in rows.order_by("-number"):
        bills[cost.subject].append(cost)
    return bills


def not_charged(job: Job) -> str:
    """The sentence that ends why a job was not taken; empty where jobs are free."""
    return "" if job.connection.is_free else " Nothing was charged."


def risk(connection: Connection) -> str:
    """The words for what a second training of one job risks; empty where jobs are free."""
    return "" if connection.is_free else "; it may be paid for twice"


def price_of(
    connection: Connection, trainer: str, steps: int | None, dataset: Dataset | None
) -> Money | None:
    """The price of a job before it is sent; None where it is not known. Asks the provider: no transaction."""
    if connection.is_free:
        return None
    try:
        return prices.estimate(connection, trainer, steps or 0, dataset.most_inputs if dataset else 1)
    except prices.PriceUnavailableError:
        return None


def reserve(
    job: Job, price: Money | None, *, is_approved: bool = False, may_exceed: bool = False
) -> Cost | None:
    """Make the row of a job that is queued now, within the budgets; None for one that costs nothing.

    Where a budget asks, the job waits for an approval. Raises BudgetExceededError.
    """
    if job.owner is None or job.connection.is_free:
        return None
    cost = ledger.reserve(
        kind=Cost.Kind.JOB,
        subject=job.pk,
        job=job.pk,
        title=job.name,
        person=job.owner,
        connection=job.connection,
        project=job.project,
        price=price,
        is_approved=is_approved,
        may_exceed=may_exceed,
    )
    if cost.state == Cost.State.APPROVAL:
        wait_for_approval(job, cost)
    return cost


def wait_for_approval(job: Job, cost: Cost) -> None:
    """Have a job that is queued wait until an admin approves its cost."""
    Job.objects.filter(pk=job.pk).update(state=State.APPROVAL, updated_at=now(), lease_expires_at=None)
    job.state = State.APPROVAL
    text = f"{WAITS} {cost.approval.reason}"
    JobEvent.objects.create(job=job, text=text[:500], source=JobEvent.Source.PORTAL, state=State.APPROVAL)


def forget_project(project: Project) -> None:
    """Forget what the budgets of a project that is deleted said, also of jobs that were moved out of it."""
    asked = Cost.objects.filter(kind=Cost.Kind.JOB, project=project, approval__isnull=False)
    forget_budgets(Job.objects.filter(pk__in=list(asked.values_list("subject", flat=True))))
    ledger.forget_project(project)


def forget_budgets(jobs: QuerySet[Job]) -> None:
    """Forget which budgets jobs waited for, in their history and where one was declined."""
    events = JobEvent.objects.filter(job__in=jobs)
    events.filter(state=State.APPROVAL).update(text=WAITS)
    events.filter(state=State.CLOSED, text__startswith=DECLINED).update(text=FORGOTTEN)
    redact(jobs, actions=("job.decline",))
    jobs.filter(error__startswith=DECLINED).update(error=FORGOTTEN)


def approval_of(job: Job) -> Approval | None:
    """The latest approval that the job waited for, decided or not."""
    approvals = Approval.objects.filter(cost__in=of(job)).select_related("decided_by", "cost")
    return approvals.order_by("pk").last()


def for_attempt(job: Job) -> Cost | None:
    """The row of the next attempt to send the job. One that was made by an older version gets its row now."""
    return of(job).filter(state=Cost.State.RESERVED).first() or reserve(job, None, is_approved=True)


def follow(job: Job, to: State, cost: int = 0) -> None:
    """Bring the rows in line with the state that the job gets. `cost`: the row of what the provider took."""
    rows = of(job)
    if to in UNPAID:
        ledger.release(rows)
    elif to in DOUBTED:
        ledger.doubt(rows)
    elif to in PAID and not rows.filter(state__in=(Cost.State.UNBILLED, Cost.State.BILLED)).exists():
        _accept(rows, cost)


def _accept(rows: ledger.Costs, cost: int) -> None:
    """One of the rows is what the provider took. What was to be sent again meanwhile is not sent."""
    taken = rows.filter(pk=cost).first() or rows.exclude(state=Cost.State.RELEASED).first() or rows.first()
    if taken is not None:
        ledger.accept(rows.filter(pk=taken.pk))
        ledger.release(rows.filter(state=Cost.State.RESERVED))


def move_to_second(first: Job, job: Job, cost: int = 0) -> None:
    """Give a second training of the job `first` the row of its attempt, or one of its own."""
    rows = of(first).exclude(state__in=(Cost.State.UNBILLED, Cost.State.BILLED))
    row = rows.filter(pk=cost).first() or rows.filter(state=Cost.State.UNCONFIRMED).first()
    if row is not None:
        of(first).filter(pk=row.pk).update(subject=job.pk, job=job.pk, number=1)
    else:
        reserve(job, None, is_approved=True)
    ledger.accept(of(job))


def cost_of(attempts: list[Attempt]) -> int:
    """The key of the row of the latest of these attempts that has one; else 0."""
    return next((each.cost_id for each in reversed(attempts) if each.cost_id), 0)


def billed_row(job: Job) -> ledger.Costs:
    """The row that a bill of the job belongs to; of a job from before the ledger, one that is made now."""
    row = of(job).filter(state__in=(Cost.State.UNBILLED, Cost.State.BILLED)).first()
    row = row or reserve(job, None, is_approved=True)
    return of(job).filter(pk=row.pk if row else 0)
