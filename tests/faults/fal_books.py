"""The books of fal against the rows of the portal: submits, data, ends, bills, and where keys are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.conf import settings

from finetune_portal.costs.models import Cost
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Attempt, Job, JobEvent
from finetune_portal.jobs.sync.lost import NOT_SHOWN, SEVERAL
from tests import databases
from tests.fal.keys import misplaced
from tests.fal.ledger import CANCELLED, tags_of
from tests.fal.ledger import Job as FalJob
from tests.fal.request import FalRequest
from tests.fal.server import FakeFal
from tests.provider import Job as Paid
from tests.provider.results import WEIGHTS

if TYPE_CHECKING:
    from tests.faults.portal import Portal

TAG = "portal-job"
TOO_LATE = "Too late to cancel"
IN_DOUBT = (NOT_SHOWN, SEVERAL)


@dataclass
class FalBooks:
    """Each job is known by the tag of its submit: the nonce of the portal's job, and the attempt's number."""

    fal: FakeFal

    @property
    def jobs(self) -> list[Paid]:
        return [
            Paid(job.id, _nonce(job.tags.get(TAG, "")), job.input, _status(job), [], job.hidden)
            for job in list(self.fal.jobs)
        ]

    @property
    def stored(self) -> dict[str, bytes]:
        return {path: file.content for path, file in list(self.fal.files.stored.items())}

    @property
    def submits(self) -> list[str]:
        return [_nonce(_tag(each)) for each in self.fal.sent("submit")]


def strangers(fal: FakeFal) -> list[FalJob]:
    """The jobs whose id the portal does not know: nobody asks for them."""
    known = set(Job.objects.values_list("request_id", flat=True))
    return [job for job in fal.jobs if job.id not in known]


def problems(portal: Portal) -> Iterator[str]:
    fal = portal.provider
    yield from _sent_otherwise(fal)
    for job in fal.jobs:
        yield from _other_data(fal, job)
        for row in Job.objects.filter(request_id=job.id):
            yield from _ended_otherwise(job, row)
    yield from _costs(fal)
    yield from _keys(portal)


def _sent_otherwise(fal: FakeFal) -> Iterator[str]:
    """I6: each submit is that of one attempt, by its nonce and its address of the dataset."""
    submits = fal.sent("submit")
    for request in submits:
        rows = Attempt.objects.filter(nonce=_tag(request), dataset_address=request.payload["image_data_url"])
        if rows.count() != 1:
            yield f"attempts: a submit by the name of “{_tag(request)}” has {rows.count()} rows"
    for nonce, times in Counter(map(_tag, submits)).items():
        if times > 1:
            yield f"duplicate: the attempt {nonce} was sent {times} times"


def _other_data(fal: FakeFal, job: FalJob) -> Iterator[str]:
    """I7: the trainer read the file, byte by byte."""
    address = urlsplit(job.dataset).path.removeprefix("/cdn")
    stored = fal.files.stored.get(address)
    row = Job.objects.filter(nonce=_nonce(job.tags.get(TAG, ""))).select_related("dataset").first()
    if row and row.dataset and (stored is None or stored.content != row.dataset.path.read_bytes()):
        yield f"data: {row.pk} was trained with other bytes"


def _ended_otherwise(paid: FalJob, row: Job) -> Iterator[str]:
    """I7: the end, its reason, the file and the bill are those of fal."""
    texts = list(row.events.values_list("text", flat=True))
    was_cancelled = paid.failure is CANCELLED
    if row.is_cancelled != was_cancelled:
        yield f"illegal: {row.pk} is {row.state} {row.error!r}, cancelled at fal: {was_cancelled}"
    if was_cancelled and any(text.startswith(TOO_LATE) for text in texts):
        yield f"timeline: {row.pk} was cancelled, and says that it was too late"
    if row.state == State.FAILED and not row.error:
        yield f"timeline: {row.pk} failed without a reason"
    if row.state != State.READY:
        return
    if row.cloud_storage_url != paid.result["diffusers_lora_file"]["url"]:
        yield f"illegal: {row.pk} has another file"
    if row.file_sha256 not in ("", sha256(WEIGHTS).hexdigest()):
        yield f"illegal: the file of {row.pk} was read as {row.file_sha256}"
    if settings.PROVIDER_ADMIN_KEYS and row.cost != float(paid.cost or 0):
        yield f"illegal: {row.pk} cost {row.cost}, billed {paid.cost}"


def _costs(fal: FakeFal) -> Iterator[str]:
    """I8: each job that fal took has one cost, with its bill, and no amount is reserved for good."""
    taken = {job.id: job for job in fal.jobs}
    for cost in Cost.objects.filter(state__in=(Cost.State.APPROVAL, Cost.State.RESERVED)):
        yield f"cost: {cost.pk} of job {cost.job} is still {cost.state}"
    for row in Job.objects.exclude(owner=None):
        costs = Cost.objects.filter(kind=Cost.Kind.JOB, subject=row.pk)
        charged = list(costs.filter(state__in=(Cost.State.UNBILLED, Cost.State.BILLED)))
        paid = taken.get(row.request_id or "")
        if len(charged) != (paid is not None):
            yield f"cost: {row.pk} has {len(charged)} rows for {row.request_id!r}"
        elif paid and settings.PROVIDER_ADMIN_KEYS and (charged[0].bill or 0) != (paid.cost or 0):
            yield f"cost: {row.pk} is billed {charged[0].bill}, at fal {paid.cost}"


def _keys(portal: Portal) -> Iterator[str]:
    """K2: no key but in memory and in the header that is for it. A person in doubt reads the truth."""
    fal = portal.provider
    for event in JobEvent.objects.filter(state=State.NEEDS_DECISION):
        if not event.text.startswith(IN_DOUBT):
            yield f"timeline: {event.job_id} asks for a decision with: {event.text}"
    yield from (f"key: it stands in a request for {path}" for path in misplaced(fal))
    rows, log = databases.every_value(), portal.log.read_text() if portal.log.exists() else ""
    for key in (fal.key, fal.admin_key):
        if key in rows or key in log:
            yield "key: it stands in the database or in the log"


def _tag(request: FalRequest) -> str:
    return tags_of(request.headers.get("x-fal-tags", "")).get(TAG, "")


def _nonce(tag: str) -> str:
    return tag.rpartition("-")[0]


def _status(job: FalJob) -> str:
    """In the words of Segmind, which the invariants know."""
    if not job.has_ended:
        return job.status
    return "FAILED" if job.result_status >= 400 else "AVAILABLE"
