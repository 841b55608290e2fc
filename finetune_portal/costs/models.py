"""What each paid act costs, by estimate and by bill; budgets of a month, and approvals over them."""

from __future__ import annotations

from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from finetune_portal.connections.models import Connection
from finetune_portal.costs.amounts import AmountField
from finetune_portal.projects.models import Project

CREDITS = "credits"
USD = "USD"
DEFAULT_AMOUNT = 100  # a month at a new connection, in its currency: it warns, so that nothing stops


def currency_of(connection: Connection) -> str:
    """What the account of a connection pays in: Segmind's credits, and dollars at the other providers."""
    return CREDITS if connection.speaks_segmind else USD


class Cost(models.Model):
    """One act that may be charged once: a job's attempt to train, or a run of a model.

    The row is made when the act is queued. It stays when the job or the generation is deleted, so it holds
    their keys and a title, and no reference. A job that is sent again by decision has a second row.
    """

    class Kind(models.TextChoices):
        JOB = "job", "Job"
        GENERATION = "generation", "Generation"

    class State(models.TextChoices):
        APPROVAL = "approval", "Waiting for approval"
        RESERVED = "reserved", "Not sent yet"
        UNCONFIRMED = "unconfirmed", "Answer lost"
        UNBILLED = "unbilled", "No bill yet"
        BILLED = "billed", "Billed"
        RELEASED = "released", "Not charged"

    class Source(models.TextChoices):
        PRICE = "price", "The price that the provider publishes"
        PAST = "past", "The highest of the latest bills of such runs"
        BILL = "bill", "The provider’s bill"
        ANSWER = "answer", "The provider’s answer to the run"
        BALANCE = "balance", "What the balance fell by while nothing else was paid"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    subject = models.PositiveBigIntegerField()  # the key of the job or the generation
    number = models.PositiveIntegerField(default=1)  # of the acts of this subject
    job = models.PositiveBigIntegerField()  # the key of the job, or of the one whose model runs
    title = models.CharField(max_length=80, blank=True)  # the name of that job; empty once it is deleted
    token = models.CharField(max_length=80, blank=True)  # the personal token of a call of the API
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="costs")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="costs")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True, related_name="costs")

    currency = models.CharField(max_length=10)
    estimate = AmountField(null=True)  # None where nobody names a price
    estimate_source = models.CharField(max_length=10, choices=Source.choices, blank=True)
    estimated_at = models.DateTimeField(null=True)
    bill = AmountField(null=True)
    bill_source = models.CharField(max_length=10, choices=Source.choices, blank=True)
    billed_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.RESERVED)
    at = models.DateTimeField(default=now)  # when it was queued, which decides the month

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "subject", "number"], name="one_cost_an_act"),
            models.CheckConstraint(
                condition=~Q(state="billed") | Q(bill__isnull=False), name="billed_cost_has_a_bill"
            ),
        ]
        indexes = [
            models.Index(fields=["at", "id"], name="costs_by_time"),
            models.Index(fields=["person", "at"], name="costs_of_a_person"),
            models.Index(fields=["connection", "at"], name="costs_of_a_connection"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}: {self.title}"

    @property
    def is_released(self) -> bool:
        return self.state == self.State.RELEASED

    @property
    def amount(self) -> Decimal | None:
        """What it counts for: the bill, without one the estimate; None is not known, and not nothing."""
        if self.state in (self.State.RELEASED, self.State.APPROVAL):
            return Decimal(0)
        amount: Decimal | None = self.estimate if self.bill is None else self.bill
        return amount

    @property
    def tone(self) -> str:
        """The colour of its state, of tokens.css."""
        return TONES[self.State(self.state)]

    @property
    def is_api_run(self) -> bool:
        return self.kind == self.Kind.GENERATION and bool(self.token)


class Budget(models.Model):
    """What may be spent in a month (UTC): by a person, at a connection, for a project, or by everybody.

    It counts bills, and the estimates of what has none yet, in its own currency only.
    """

    class Action(models.TextChoices):
        WARN = "warn", "Warn"
        ASK = "ask", "Ask an admin"
        STOP = "stop", "Stop"

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="budgets"
    )
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, null=True, related_name="budgets")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, null=True, related_name="budgets")
    currency = models.CharField(max_length=10)
    amount = AmountField()  # a month
    action = models.CharField(max_length=4, choices=Action.choices, default=Action.WARN)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """Whose money it is about."""
        where = [str(each) for each in (self.project, self.connection) if each]
        names = [*([self.person.name] if self.person else []), *where]
        return ", ".join(names) or "Everybody"

    @property
    def covered(self) -> Q:
        """The costs that it counts, of any month."""
        covered = Q(currency=self.currency) & ~Q(state__in=(Cost.State.RELEASED, Cost.State.APPROVAL))
        for name in ("person", "connection", "project"):
            if (key := getattr(self, f"{name}_id")) is not None:
                covered &= Q(**{name: key})
        return covered


class Approval(models.Model):
    """A request to spend beyond a budget. It is open while its cost waits for it."""

    cost = models.OneToOneField(Cost, on_delete=models.CASCADE, related_name="approval")
    reason = models.CharField(max_length=500)  # which budget asks, and how full it is
    asked_at = models.DateTimeField(default=now)
    decided_at = models.DateTimeField(null=True, db_index=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    is_approved = models.BooleanField(null=True)
    comment = models.CharField(max_length=500, blank=True)  # what the admin says to it

    def __str__(self) -> str:
        return f"{self.cost}: {self.is_approved}"


TONES = {
    Cost.State.APPROVAL: "warn",
    Cost.State.RESERVED: "calm",
    Cost.State.UNCONFIRMED: "warn",
    Cost.State.UNBILLED: "moving",
    Cost.State.BILLED: "good",
    Cost.State.RELEASED: "calm",
}
