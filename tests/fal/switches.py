"""What a test can switch on, each as a plain attribute of FakeFal. All defaults are a fal that behaves.

The calls that `locked_on`, `busy_on`, `html_errors_on` and `script` name stand in `routes.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

BALANCE = Decimal(1000)
LOCKED = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."


@dataclass(frozen=True)
class Failure:
    """How a job ends badly. `detail` is a text of the platform, or the model's list of what is wrong."""

    status: int = 500
    detail: Any = "The runner disconnected."
    error_type: str = "runner_disconnected"


@dataclass(eq=False, repr=False)
class Switches:
    """Submit and keys, status, results and files, cancel, history, webhooks, money, catalogue."""

    # The ledger has the job, the answer never comes.
    loses_answer: bool = False
    # The connection breaks before the job is taken.
    loses_request: bool = False
    # 403 "User is locked" on these calls, such as {"submit"} or {"status"}.
    locked_on: Collection[str] = ()
    locked_reason: str = LOCKED
    # 429 on these calls; `busy_seconds` is the Retry-After, None sends none.
    busy_on: Collection[str] = ()
    busy_seconds: int | None = None
    # 503 with a page of a proxy before fal on these calls.
    html_errors_on: Collection[str] = ()

    # The states of a new job: the first is the submit's, each status call goes on by one, the last stays.
    # With ("IN_QUEUE",) it waits for the test; "IN_QUEUE" after "IN_PROGRESS" is a step back.
    steps: tuple[str, ...] = ("IN_QUEUE", "IN_QUEUE", "IN_PROGRESS", "COMPLETED")
    # New jobs end so, whatever their dataset is like.
    failure: Failure | None = None
    # COMPLETED of a failed job carries `error`; otherwise only the result's code says that it failed.
    status_has_error: bool = True
    log_lines: tuple[str, ...] = (
        "Downloading the dataset",
        "Step 1/10",
        "Step 10/10",
        "Uploading the weights",
    )

    results_expired: bool = False  # the result of a completed job answers 404
    files_are_bare: bool = False  # only `url` is filled in a file of a result
    weights_field: str = ""  # in place of the trainer's own, such as lora_file
    # What a file of a result does: "403" or "404"; "cut" breaks the connection in its middle; "short" sends
    # half of it as if that is all; "size" is a wrong size in the result.
    file_fault: str = ""

    cancel_answer: int = 0  # 200, 202, 400 or 404 in place of the right one; 400 and 404 cancel nothing
    ignores_cancel: bool = False  # a running job goes on after 202

    history_shows_running: bool = False  # queued and running jobs, with `started_at`
    history_late: int = 0  # this many list calls do not show a new job yet
    history_hole: bool = False  # a new job is never listed

    webhook_times: int = 1  # 0 sends none, 2 sends each twice
    webhook_delay: float = 0.0  # seconds
    webhook_age: float = 0.0  # seconds since the signed time
    webhook_is_forged: bool = False  # signed with a key that the JWKS never has

    failures_cost: bool = False  # a failed training is charged
    prices: dict[str, Decimal] = field(
        default_factory=dict
    )  # per unit; a bill takes the one at the job's end
    credits: Decimal = BALANCE

    deprecated: set[str] = field(default_factory=set)  # endpoints that the catalogue calls so; they still run
    # Keys of other accounts. Each account knows the jobs of its own key alone.
    other_keys: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)  # endpoints that neither catalogue nor queue know any more
    other_trainers: set[str] = field(default_factory=set)  # that the catalogue has and the fake cannot run
    most_bytes: int = 1 << 30  # of a dataset
    has_unknown_fields: bool = False  # in every object of every answer
