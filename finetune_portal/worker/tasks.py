"""What the worker does, one lane a kind of work, so that a long upload delays nothing else.

A step does one thing and says whether there may be more. All state is in the rows: a killed worker loses
nothing, and the next one goes on from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from finetune_portal.accounts import sessions
from finetune_portal.audit import services as audit
from finetune_portal.connections import capabilities
from finetune_portal.datasets import retention, transfer, versions
from finetune_portal.datasets import services as datasets
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.transfer import LEASE
from finetune_portal.jobs.sync import model_file, poll, progress
from finetune_portal.jobs.sync import submit as sync_submit
from finetune_portal.notifications import outbox
from finetune_portal.playground import generate
from finetune_portal.queue.leases import claim, renewing
from finetune_portal.webhooks import self_test
from finetune_portal.webhooks import services as webhooks


@dataclass(frozen=True)
class Lane:
    """`step` is called again at once while it answers True, else after `pause` seconds if somebody wrote
    something meanwhile, and after `idle` seconds in any case."""

    name: str
    step: Callable[[], bool]
    pause: float
    idle: float = 1.0


def check() -> bool:
    dataset = claim(Dataset.objects.filter(state=Dataset.State.CHECKING), seconds=LEASE)
    if dataset is None:
        return False
    with renewing(dataset, seconds=LEASE):
        datasets.check(dataset)
    return True


def make() -> bool:
    dataset = claim(Dataset.objects.filter(state=Dataset.State.MAKING), seconds=LEASE)
    if dataset is None:
        return False
    with renewing(dataset, seconds=LEASE):
        versions.make(dataset)
    return True


def clear() -> bool:
    files = (retention.clear_abandoned, retention.clear_old_files)
    lines = (webhooks.delete_old, outbox.forget_old, audit.forget_old, sessions.forget_old)
    return any(step() for step in (*files, *lines))


def submit() -> bool:
    sync_submit.recover_interrupted()
    sync_submit.release_waiting()
    return sync_submit.send_next()


def train() -> bool:
    return capabilities.refresh_next() or progress.fetch_next()


LANES = (
    Lane("check", check, 0.3),
    Lane("make", make, 0.5),
    Lane("carry", transfer.transfer_next, 0.3),
    Lane("clear", clear, 60),
    Lane("submit", submit, 0.3),
    Lane("follow", poll.poll_next, 0.25, idle=0.25),
    Lane("train", train, 0.5, idle=0.5),
    Lane("files", model_file.check_next, 1),
    Lane("run", generate.generate_next, 0.3),
    Lane(
        "run-too", generate.generate_next, 0.3
    ),  # a cold model takes minutes, and others may be quick meanwhile
    Lane("digest", webhooks.process_next_delivery, 0.2),
    Lane("self-test", self_test.run_next, 0.5),
    Lane("notice", outbox.write, 1),
    Lane("tell", outbox.send_next, 0.3),
)
