"""The periodic tasks of the worker. Each has a thread of its own, so that a long upload delays nothing else.

A step does one thing and returns whether there may be more to do. All state is in the rows: a killed worker
loses nothing, and the next one continues from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from finetune_portal.accounts import sessions
from finetune_portal.audit import services as audit
from finetune_portal.connections import capabilities
from finetune_portal.datasets import checking, previews, retention, transfer, versions
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.transfer import LEASE
from finetune_portal.deletion import finishing
from finetune_portal.jobs.sync import follow, poll, progress
from finetune_portal.jobs.sync import submit as sync_submit
from finetune_portal.notifications import history
from finetune_portal.notifications import tasks as notifications
from finetune_portal.playground import bills, first_results, generate, inputs
from finetune_portal.queue.leases import claim, renewing
from finetune_portal.registry import copying
from finetune_portal.registry import retention as model_retention
from finetune_portal.web import shared_cache
from finetune_portal.webhooks import self_test, signed
from finetune_portal.webhooks import services as webhooks


@dataclass(frozen=True)
class PeriodicTask:
    """When the worker calls `step`.

    At once while it returns True; else after `pause` seconds if the database changed meanwhile, and after
    `idle` seconds in any case.
    """

    name: str
    step: Callable[[], bool]
    pause: float
    idle: float = 1.0


def check_dataset() -> bool:
    dataset = claim(Dataset.objects.filter(state=Dataset.State.CHECKING), seconds=LEASE)
    if dataset is None:
        return False
    with renewing(dataset, seconds=LEASE):
        checking.check(dataset)
    return True


def make_version() -> bool:
    dataset = claim(Dataset.objects.filter(state=Dataset.State.MAKING), seconds=LEASE)
    if dataset is None:
        return False
    with renewing(dataset, seconds=LEASE):
        versions.make(dataset)
    return True


def cleanup() -> bool:
    files = (retention.clear_abandoned, retention.clear_refused_urls, retention.clear_old_files)
    pictures = (inputs.clear_unused,)
    models = (model_retention.clear_old_copies,)
    rows = (webhooks.delete_old, notifications.delete_old, history.delete_old, audit.delete_old)
    expired = (sessions.delete_expired, shared_cache.delete_expired)
    return any(step() for step in (*files, *pictures, *models, *rows, *expired))


def submit_jobs() -> bool:
    if not sync_submit.is_needed():
        return False
    sync_submit.recover_interrupted()
    sync_submit.release_waiting()
    return sync_submit.send_next()


def fetch_progress() -> bool:
    return capabilities.refresh_next() or progress.fetch_next()


TASKS = (
    PeriodicTask("check-dataset", check_dataset, 0.3),
    PeriodicTask("make-version", make_version, 0.5),
    PeriodicTask("make-previews", previews.make_next, 0.2),
    PeriodicTask("transfer", transfer.transfer_next, 0.3),
    PeriodicTask("cleanup", cleanup, 60),
    PeriodicTask("submit", submit_jobs, 0.3),
    PeriodicTask("poll", poll.poll_next, 0.25, idle=0.25),
    PeriodicTask("fetch-progress", fetch_progress, 0.5, idle=0.5),
    PeriodicTask("follow", follow.follow_next, 0.5, idle=0.5),
    # Two, because one storage may be slow and other models wait to come home.
    PeriodicTask("copy-model", copying.copy_next, 0.3),
    PeriodicTask("copy-model-2", copying.copy_next, 0.3),
    # Two, because a cold model takes minutes and other generations may be quick meanwhile.
    PeriodicTask("generate", generate.generate_next, 0.3),
    PeriodicTask("generate-2", generate.generate_next, 0.3),
    PeriodicTask("first-results", first_results.queue_next, 0.5),
    PeriodicTask("bill-generation", bills.ask_next, 1),
    PeriodicTask("process-delivery", webhooks.process_next_delivery, 0.2),
    PeriodicTask("verify-message", signed.process_next, 0.2),
    PeriodicTask("finish-deletion", finishing.finish_next, 0.3),
    PeriodicTask("self-test", self_test.run_next, 0.5),
    PeriodicTask("write-notification", notifications.create_notifications, 1),
    PeriodicTask("write-approval", notifications.create_for_approvals, 1),
    PeriodicTask("send-notification", notifications.send_next, 0.3),
)
