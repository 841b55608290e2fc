"""Transfer a dataset's ZIP to the presigned URL of each provider that needs it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import BinaryIO, cast

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections import rate_limit
from finetune_portal.connections.client import asking
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.growing_file import Incoming, Stalled
from finetune_portal.datasets.models import Carry, Dataset
from finetune_portal.providers.segmind import InvalidResponseError, SegmindError
from finetune_portal.queue.leases import backoff, keeping, mine
from finetune_portal.web.errors import ActionFailed

LEASE = 15.0
GONE = "The file is no longer on the portal's disk. Upload it again."
LIVELY = timedelta(seconds=5)
ETAG_MD5 = re.compile(r"^[0-9a-fA-F]{32}$")


def take_to(dataset: Dataset, connection: Connection) -> None:
    """Let the worker carry it there, unless it did or does."""
    Carry.objects.get_or_create(dataset=dataset, connection=connection)


def carry_next() -> bool:
    trip = rate_limit.claim_with_a_call(
        _due_to_carry(), Connection.objects.in_use(), leave=rate_limit.CARRY, seconds=LEASE
    )
    if trip is None:
        return False
    with keeping(trip, seconds=LEASE):
        _carry(trip)
    return True


def _due_to_carry() -> QuerySet[Carry]:
    """Trips that may begin: of a checked file, or of a large one that is still coming in at speed."""
    checked = Q(dataset__state__in=(Dataset.State.CHECKING, Dataset.State.READY))
    lively = Q(dataset__state=Dataset.State.RECEIVING, dataset__changed__gt=now() - LIVELY, attempts=0)
    return Carry.objects.filter(checked | lively, done=None).select_related("dataset", "connection")


def _carry(trip: Carry) -> None:
    """Take the file to a fresh presigned URL; on trouble, again later. The caller holds the lease."""
    dataset = trip.dataset

    def progress(sent: int) -> None:
        mine(trip).update(sent=sent)

    try:
        with asking(trip.connection) as client:
            target = client.presigned_url(f"{dataset.key}.zip")
        address = target.presigned_url
        with Incoming(dataset) as file:
            etag = client.upload(address, cast(BinaryIO, file), dataset.size, progress)
        if not _arrived_whole(etag, file.digests["md5"]):
            raise InvalidResponseError("The storage got other bytes than were sent. They are sent again.")
    except (SegmindError, Stalled, FileNotFoundError) as exc:
        told = GONE if isinstance(exc, FileNotFoundError) else str(exc)
        again = now() + backoff(trip.attempts)
        mine(trip).update(error=told[:500], sent=0, due=again, lease_until=None)
        return
    done = {"s3_url": target.s3_url, "etag": etag[:100], "sent": dataset.size, "done": now(), "error": ""}
    with transaction.atomic():
        if mine(trip).update(lease_until=None, **done):
            Dataset.objects.filter(pk=dataset.pk).update(changed=now(), **file.digests)


def _arrived_whole(etag: str, md5: str) -> bool:
    """An ETag of 32 hex digits is the MD5 of the object (S3 without multipart or KMS); others say nothing."""
    return not ETAG_MD5.match(etag) or etag.lower() == md5


def hand_over_again(dataset: Dataset, *, actor: User) -> None:
    """Carry the file to a fresh presigned URL: the old object may be gone."""
    if not dataset.is_here:
        raise ActionFailed("The portal no longer has the file. Upload it again.")
    with transaction.atomic():
        _carry_anew(Carry.objects.filter(dataset=dataset))
        Dataset.objects.filter(pk=dataset.pk).update(changed=now())
        record(actor, "dataset.hand_over", dataset)


def put_in_place(dataset: Dataset, connection: Connection) -> bool:
    """Have the upstream get it, anew where its copy may be gone. True if it has it already."""
    if dataset.source_url:
        return dataset.state == Dataset.State.READY
    trip, _ = Carry.objects.get_or_create(dataset=dataset, connection=connection)
    if trip.is_old and dataset.is_here:
        _carry_anew(Carry.objects.filter(pk=trip.pk))
        return False
    return dataset.state == Dataset.State.READY and trip.done is not None


def _carry_anew(trips: QuerySet[Carry]) -> None:
    fresh = {"done": None, "sent": 0, "due": now(), "attempts": 0, "error": "", "s3_url": ""}
    trips.exclude(done=None).update(**fresh)
