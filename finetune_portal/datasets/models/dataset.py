"""A dataset, the state of its file in the portal, and its transfers to providers."""

from __future__ import annotations

import uuid
from base64 import b64decode
from contextlib import suppress
from datetime import datetime, timedelta
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.timezone import now

from finetune_portal.connections.declared import reads_growing_files
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.pair_images import places_of
from finetune_portal.projects.models import Project
from finetune_portal.queue.leases import Leased

STALLED_AFTER = timedelta(minutes=1)
KEPT_BY_PROVIDER = timedelta(days=7)


class Progress(NamedTuple):
    """What a progress bar says, and how full it is."""

    text: str
    percent: int


class Dataset(Leased):
    """One ZIP of pairs. `received` counts the bytes safely on disk, `size` the bytes announced.

    A dataset is uploaded, lies at a public address (`source_url`), or is a new version that the worker makes
    from its `parent` by a `recipe`. `metadata` is the tus 1.0 metadata of its upload, verbatim. A file at a
    public address `is_fetched` once the portal has a copy, which it checks; the provider gets the address.
    `most_inputs` is the most input images that a pair has; 1 until it is checked. While the check goes on,
    `files_checked` of `files_to_check` files in the ZIP are done.
    """

    class State(models.TextChoices):
        RECEIVING = "receiving", "Uploading"
        MAKING = "making", "Being made"
        CHECKING = "checking", "Checking"
        READY = "ready", "Ready"
        REJECTED = "rejected", "Refused"

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True, related_name="datasets")
    name = models.CharField(max_length=120)
    filename = models.CharField(max_length=255)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVING)
    size = models.BigIntegerField()
    received = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, db_index=True)
    md5 = models.CharField(max_length=32, blank=True)
    source_url = models.CharField(max_length=2000, blank=True)
    parent = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="versions")
    metadata = models.TextField(blank=True)
    version = models.PositiveIntegerField(default=1)
    recipe = models.JSONField(default=dict)
    verdict = models.JSONField(default=dict)
    pair_count = models.PositiveIntegerField(default=0)
    most_inputs = models.PositiveSmallIntegerField(default=1)
    files_checked = models.PositiveIntegerField(default=0)
    files_to_check = models.PositiveIntegerField(default=0)
    is_fetched = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=now)
    updated_at = models.DateTimeField(default=now, db_index=True)
    file_removed_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True, db_index=True)

    def __str__(self) -> str:
        return self.label

    def get_absolute_url(self) -> str:
        return reverse("datasets:detail", args=[self.pk])

    @property
    def label(self) -> str:
        """The name, and the version where it is not the first."""
        return f"{self.name} v{self.version}" if self.version > 1 else self.name

    @property
    def choice_label(self) -> str:
        """What tells this dataset from others of the same name, in a select. The time comes last."""
        pairs = f"{self.pair_count} pair{'' if self.pair_count == 1 else 's'}"
        pairs += f", {self.inputs_text}" if self.inputs_text else ""
        what = pairs if self.state == self.State.READY else self.progress.text
        return f"{self.label} · {what} · {self.created_at:%-d %b %Y, %H:%M} UTC"

    @property
    def inputs_text(self) -> str:
        """How many input images a pair has, in words; empty for one."""
        return f"up to {self.most_inputs} input images a pair" if self.most_inputs > 1 else ""

    @property
    def path(self) -> Path:
        """Where the file lies. No part of the upload's name reaches the disk."""
        return Path(settings.DATA_DIR) / "datasets" / f"{self.key}.zip"

    @property
    def seen_path(self) -> Path:
        """What the check has seen so far, while it goes on in slices."""
        return self.path.with_suffix(".seen.json")

    @property
    def previews(self) -> Path:
        return Path(settings.DATA_DIR) / "previews" / str(self.key)

    @property
    def is_whole(self) -> bool:
        return self.received == self.size

    @property
    def expires_at(self) -> datetime:
        """When an upload that makes no progress is deleted."""
        return self.updated_at + timedelta(hours=settings.UPLOAD_KEEP_HOURS)

    @property
    def is_rejected(self) -> bool:
        return self.state == self.State.REJECTED

    @property
    def problems(self) -> list[str]:
        return list(self.verdict.get("problems", []))

    @property
    def warnings(self) -> list[str]:
        return list(self.verdict.get("warnings", []))

    @property
    def pairs(self) -> list[dict[str, Any]]:
        """Pairs, each with `index`, `start` and `end` (names in the ZIP), their sizes, and a `caption`.

        Further input images are `start2`, `start3` and so on, as in Verdict.
        """
        return list(self.verdict.get("pairs", []))

    @property
    def caption_count(self) -> int:
        return sum(1 for pair in self.pairs if pair["caption"])

    @property
    def has_all_captions(self) -> bool:
        """Whether every pair is known to have a caption; a ZIP that is not checked yet counts as no."""
        return self.state == self.State.READY and self.caption_count == len(self.pairs)

    @property
    def shared_caption(self) -> str:
        """The caption that all pairs have; empty where they differ, or where one has none."""
        captions = {pair["caption"] for pair in self.pairs}
        return str(captions.pop()) if len(captions) == 1 else ""

    @property
    def is_at_provider(self) -> bool:
        """Whether at least one provider has the file. Another connection may still have to receive it."""
        return self.state == self.State.READY and (bool(self.source_url) or any(self._finished))

    @property
    def has_file(self) -> bool:
        """Whether the portal has the whole file on disk: to inspect, edit or transfer it."""
        whole = self.state in (self.State.CHECKING, self.State.READY, self.State.REJECTED)
        is_here = self.is_fetched or not self.source_url
        return whole and is_here and self.file_removed_at is None

    @property
    def chosen_files(self) -> str:
        """What its person chose for the upload, which the browser may have packed: “hats”, or the ZIP."""
        for item in self.metadata.split(","):
            key, _, value = item.strip().partition(" ")
            if key == "chosen":
                with suppress(ValueError):
                    return b64decode(value).decode()
        return f"“{self.filename}”"

    @property
    def facts(self) -> dict[str, int]:
        """Counts of the check: `files`, `pairs`, `captions`, `bytes`, `unpacked`."""
        return dict(self.verdict.get("facts", {}))

    @property
    def image_sizes(self) -> list[tuple[int, int]]:
        """The smallest and the largest picture in pixels; one size if all are alike."""
        sides = (pair.get(f"{place}_size") for pair in self.pairs for place in places_of(pair))
        sizes = sorted({(size[0], size[1]) for size in sides if size and all(size)}, key=prod)
        return list(dict.fromkeys((sizes[0], sizes[-1]))) if sizes else []

    @property
    def questions(self) -> list[dict[str, Any]]:
        """Guesses that a person confirms by making a repaired copy, each with a `code` and a `sentence`.

        One that is answered by a choice is not among them.
        """
        questions = self.verdict.get("questions", [])
        return [question for question in questions if "choices" not in question]

    @property
    def code_pages(self) -> list[dict[str, str]]:
        """The code pages in which the names can be read, the guessed one first; see code_pages.choices."""
        return self._choices("names")

    @property
    def caption_pages(self) -> list[dict[str, str]]:
        """The same for captions; see code_pages.choices_for_texts."""
        return self._choices("encoding")

    def _choices(self, code: str) -> list[dict[str, str]]:
        questions = self.verdict.get("questions", [])
        asked = (question for question in questions if question["code"] == code)
        return [choice for question in asked for choice in question.get("choices", [])]

    @property
    def needs_repair(self) -> bool:
        """Whether the check refused it, and the portal can make a copy that trains."""
        return self.is_rejected and bool(self.repairs) and self.has_file

    @property
    def refusal(self) -> str:
        """Why it cannot be trained and what to do, in sentences; for a dataset that the check refused."""
        reason = self.problems[0] if self.problems else ""
        if self.needs_repair:
            return (
                f"the dataset needs a repair. {reason} Make a repaired copy on its page and train with that."
            )
        return f"the dataset was refused. {reason}".strip()

    @property
    def placeholders(self) -> list[str]:
        """Placeholders in the captions, such as “[trigger]”, for which the repair takes words."""
        return list(self.verdict.get("placeholders", []))

    @property
    def can_swap(self) -> bool:
        """Whether the check guessed which half is which."""
        return any(question["code"] == "halves" for question in self.questions)

    @property
    def repairs(self) -> list[dict[str, str]]:
        """The repairs that the check offers, each with a `code` and a `sentence`."""
        return list(self.verdict.get("repairs", []))

    @property
    def may_be_lost_at_provider(self) -> bool:
        return any(transfer.is_old for transfer in self._finished)

    def s3_url_for(self, connection: Connection) -> str:
        """Where this connection's provider has the file; empty until it has it.

        Some read a public address themselves. Others get the file that the portal fetched from there.
        """
        urls = (transfer.s3_url for transfer in self._finished if transfer.connection_id == connection.pk)
        return (self.source_url if reads_growing_files(connection) else "") or next(urls, "")

    @property
    def _finished(self) -> list[Transfer]:
        return [transfer for transfer in self.transfers.all() if transfer.finished_at]

    @property
    def transfer(self) -> Transfer | None:
        """The transfer in progress, else the latest one."""
        transfers = self.transfers.all()
        return max(transfers, key=lambda transfer: (transfer.finished_at is None, transfer.pk), default=None)

    @property
    def is_stalled(self) -> bool:
        """Whether an upload sent nothing for a minute: its tab was closed, or the connection broke."""
        return self.state == self.State.RECEIVING and self.updated_at < now() - STALLED_AFTER

    @property
    def is_settled(self) -> bool:
        """Whether nothing changes any more without a person."""
        return self.is_rejected or self.is_at_provider or self.is_transfer_failed

    @property
    def is_transfer_failed(self) -> bool:
        """Whether the portal gave up to transfer the file, and no provider has it."""
        return not self.is_at_provider and self.transfer is not None and self.transfer.failed_at is not None

    @property
    def bytes_done(self) -> int:
        """Bytes uploaded plus bytes transferred; a transfer may begin before the upload ends."""
        return self.received + (self.transfer.bytes_sent if self.transfer else 0)

    @property
    def bytes_total(self) -> int:
        return 2 * self.size

    @property
    def progress(self) -> Progress:
        """The one progress bar over upload and transfer."""
        if self.is_rejected:
            return Progress("Cannot be trained as it is", 100)
        if self.is_at_provider:
            return Progress("Ready to train", 100)
        if self.is_transfer_failed:
            return Progress("Not transferred", 0)
        texts = {
            self.State.RECEIVING: "Uploading to the portal",
            self.State.MAKING: "Making the new version",
            self.State.CHECKING: self._checking,
        }
        text = texts.get(self.State(self.state), "Transferring to the provider")
        return Progress(text, min(99, 100 * self.bytes_done // max(1, self.bytes_total)))

    @property
    def _checking(self) -> str:
        if self.source_url and not self.is_fetched:
            return "Downloading from the public address"
        if not self.files_to_check:
            return "Checking the files"
        return f"Checking, {self.files_checked:,} of {self.files_to_check:,} files"


class Transfer(Leased):
    """The transfer of a dataset's file to the storage of one connection's provider.

    `s3_url` is its address there, which Segmind wants back verbatim (docs/provider-api.md, 4).
    """

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="transfers")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="transfers")
    bytes_sent = models.BigIntegerField(default=0)
    s3_url = models.CharField(max_length=2000, blank=True)
    etag = models.CharField(max_length=100, blank=True)  # not written since 0.2, to be dropped
    finished_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True)
    refusals = models.PositiveIntegerField(default=0)  # in a row, each of a fresh URL
    failed_at = models.DateTimeField(null=True)  # given up, until a person has it tried again

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "connection"], name="one_transfer_per_connection")
        ]

    def __str__(self) -> str:
        return f"{self.dataset_id}: {self.bytes_sent} bytes"

    @property
    def is_old(self) -> bool:
        """Whether the provider may have deleted its copy; the provider names no period."""
        return self.finished_at is not None and self.finished_at < now() - KEPT_BY_PROVIDER
