"""Download the ZIP of a dataset at a public address, in slices, so that others get their turn.

Where the server sends no parts of a file, its one answer is read on in the next slice: the connection stays
open in this process meanwhile. A process that has not got it begins anew.
"""

from __future__ import annotations

from time import monotonic

from django.conf import settings
from django.utils.timezone import now

from finetune_portal.datasets import remote
from finetune_portal.datasets.models import Dataset
from finetune_portal.queue.leases import held_by
from finetune_portal.storage import files
from finetune_portal.storage.room import RoomFile
from finetune_portal.web import outbound
from finetune_portal.web.disk_full import DiskFullError

SLICE_SECONDS, CUT_SECONDS = 10.0, 60.0  # after the second even one that drips ends
CHUNK = 4 * 1024 * 1024
MOST_BREAKS = 3  # of a file without parts
BROKE_OFF = (
    "The server of this address sends no parts of a file (Range), and the download broke off three times. "
    "Put the file on another server, or upload it."
)

_streams: dict[int, remote.RemoteFile] = {}  # by the dataset
_breaks: dict[int, int] = {}


def download(dataset: Dataset) -> bool:
    """Download more of the file. Whether it is whole now. Raises RemoteFileError.

    The caller holds the lease.
    """
    _close_unwanted()
    with outbound.within(CUT_SECONDS):
        file = _open(dataset)
        try:
            _read(dataset, file)
        except remote.BrokenOffError:
            file.close()
            _begin_anew(dataset)
        except BaseException:
            file.close()
            raise
        else:
            _keep(dataset, file)
    fields = {"size": dataset.size, "received": dataset.received, "sha256": file.sha256}
    held_by(dataset).update(updated_at=now(), **fields)
    return dataset.is_whole


def _open(dataset: Dataset) -> remote.RemoteFile:
    file = _streams.pop(dataset.pk, None)
    if file and file.position == dataset.received:
        return file
    if file:
        file.close()
    file = remote.open_remote(dataset.source_url, max_bytes=settings.DATASET_MAX_BYTES)
    if dataset.size != file.size:  # the first slice, or another file since
        dataset.size, dataset.received = file.size, 0
    return file


def _read(dataset: Dataset, file: remote.RemoteFile) -> None:
    deadline = monotonic() + SLICE_SECONDS
    with _open_copy(dataset) as target:
        while not dataset.is_whole:
            dataset.received += target.write(file.read_at(dataset.received, CHUNK))
            if monotonic() > deadline:
                break


def _keep(dataset: Dataset, file: remote.RemoteFile) -> None:
    if dataset.is_whole:
        _breaks.pop(dataset.pk, None)
    if file.is_stream and not dataset.is_whole:
        _streams[dataset.pk] = file
    else:
        file.close()


def _begin_anew(dataset: Dataset) -> None:
    """Raises RemoteFileError where the answer broke off too often."""
    dataset.received = 0
    _breaks[dataset.pk] = _breaks.get(dataset.pk, 0) + 1
    if _breaks[dataset.pk] >= MOST_BREAKS:
        del _breaks[dataset.pk]
        raise remote.RemoteFileError(BROKE_OFF)


def _close_unwanted() -> None:
    """Streams of datasets that were deleted meanwhile."""
    if not _streams:
        return
    rows = Dataset.objects.filter(pk__in=list(_streams), state=Dataset.State.CHECKING, deleted_at=None)
    for pk in set(_streams) - set(rows.values_list("pk", flat=True)):
        _streams.pop(pk).close()


def _open_copy(dataset: Dataset) -> RoomFile:
    """Open the portal's copy where it ends, with room for the whole file. Raises RemoteFileError."""
    files.create(dataset.path)
    target = files.open_stored(dataset.path)
    try:
        target.truncate(dataset.size)
    except DiskFullError as exc:
        target.close()
        raise remote.RemoteFileError(str(exc)) from None
    target.seek(dataset.received)
    return target
