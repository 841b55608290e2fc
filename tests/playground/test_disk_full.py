"""A picture is paid only when there is room for it, and pictures that find no room say so."""

from __future__ import annotations

from typing import Any

from finetune_portal.accounts.models import User
from finetune_portal.jobs.models import Job
from finetune_portal.playground.models import Generation
from tests.people import signed_in
from tests.playground.conftest import form, fresh, image, ordered, own, run_task, step
from tests.provider import ScriptedProvider

FULL, ROOM = 2**60, 0


def test_a_run_waits_until_there_is_room_and_is_not_paid_before(
    alice: User, job: Job, provider: ScriptedProvider, settings: Any
) -> None:
    generation = ordered(signed_in(alice), job)
    settings.DISK_FLOOR_BYTES = FULL
    run_task()
    step()
    waiting = fresh(generation)
    assert waiting.state == "queued"
    assert "has room for 0 bytes" in waiting.error
    assert provider.runs == []

    settings.DISK_FLOOR_BYTES = ROOM
    step()
    assert fresh(generation).state == "done"
    assert len(provider.runs) == 1


def test_a_picture_without_room_is_refused_at_its_field(alice: User, job: Job, settings: Any) -> None:
    client = signed_in(alice)
    client.raise_request_exception = False
    settings.DISK_FLOOR_BYTES = FULL
    pair = client.post(f"/jobs/{job.pk}/try/", form())
    assert (pair.status_code, b"disk may be full" in pair.content) == (422, True)
    upload = client.post(f"/jobs/{job.pk}/try/", form(file=own(image())))
    assert (upload.status_code, b"has room for 0 bytes" in upload.content) == (507, True)
    assert not Generation.objects.exists()
