"""What a test can switch on, each as a plain attribute of FakeReplicate. All defaults are one that behaves.

The calls that `locked_on`, `busy_on`, `html_errors_on` and `script` name stand in `routes.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal

LOCKED = "You have insufficient credit to run this model. Go to replicate.com/account/billing."


@dataclass(frozen=True)
class Failure:
    """How a job ends badly: its last status, and what its `error` says."""

    error: str = "The machine was lost."
    status: str = "failed"


@dataclass(eq=False, repr=False)
class Switches:
    """Submit and keys, status, results and files, cancel, lists, webhooks, money, models."""

    # The ledger has the job, the answer never comes.
    loses_answer: bool = False
    # The connection breaks before the job is taken.
    loses_request: bool = False
    # 402 "Insufficient credit" on these calls, such as {"submit"} or {"status"}.
    locked_on: Collection[str] = ()
    locked_reason: str = LOCKED
    # 429 on these calls; `busy_seconds` is the Retry-After, None sends none.
    busy_on: Collection[str] = ()
    busy_seconds: int | None = None
    # 503 with a page of a proxy before Replicate on these calls.
    html_errors_on: Collection[str] = ()
    # Models that answer each new job with 500 and take none.
    broken: set[str] = field(default_factory=set)

    # The states of a new job: the first is the submit's, each status call goes on by one, the last stays.
    # With ("starting",) it waits for the test; "starting" after "processing" is a step back.
    steps: tuple[str, ...] = ("starting", "starting", "processing", "succeeded")
    # New jobs end so, whatever their dataset is like.
    failure: Failure | None = None
    log_lines: tuple[str, ...] = (
        "Downloading the dataset",
        " 10%|█         | 1/10",
        "100%|██████████| 10/10",
    )

    results_expired: bool = False  # input, output and logs of jobs that have ended are deleted
    # What a file of a result does: "403" or "404"; "cut" breaks the connection in its middle; "short" sends
    # half of it as if that is all.
    file_fault: str = ""
    signs_uploads: bool = True  # the address of an upload is good without the key
    refuses_further_names: bool = False  # an upload is not read with a name in its query that is not signed
    most_bytes: int = 100 << 20  # of an upload

    cancel_answer: int = 0  # a status in place of the right one; 4xx cancels nothing
    ignores_cancel: bool = False  # a job goes on after 200

    history_shows_running: bool = True
    history_late: int = 0  # this many list calls do not show a new job yet
    history_hole: bool = False  # a new job is never listed
    rewrites_uploads: bool = False  # objects name uploads by an address that Replicate signed itself
    page_size: int = 100

    webhook_times: int = 1  # 0 sends none, 2 sends each twice
    webhook_delay: float = 0.0  # seconds
    webhook_age: float = 0.0  # seconds since the signed time
    webhook_is_forged: bool = False  # signed with a secret that the account does not have

    failures_cost: bool = True  # time is charged, however it ends
    prices: dict[str, Decimal] = field(default_factory=dict)  # of a step, or of a picture
    closed: set[str] = field(default_factory=set)  # models that Replicate does not know any more
    without_version: set[str] = field(default_factory=set)
    has_unknown_fields: bool = False  # in every object of every answer
