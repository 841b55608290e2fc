"""What people ask of the provider is counted, too: the account's limit is one for all."""

from __future__ import annotations

from typing import Any

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from tests.faults.limited import Limited
from tests.people import make_job, signed_in
from tests.worker.driving import point_at


def test_each_call_of_a_person_is_one_less(alice: User, dana: User, settings: Any) -> None:
    with Limited(calls=5, sliding=True) as fake:  # so that no new minute begins meanwhile
        fake.states = ("AVAILABLE",)
        point_at(settings, fake)
        paid = fake.adds("hats")
        url = str(paid.cloud_storage_url)
        job = make_job(alice, "ready", request_id=paid.id, cloud_storage_url=url)
        left = []
        for user, method, path in (
            (alice, "post", f"/jobs/{job.pk}/public/"),
            (alice, "get", f"/jobs/{job.pk}/download/"),
            (dana, "post", f"/settings/connections/{job.connection_id}/test/"),
        ):
            getattr(signed_in(user), method)(path)
            left.append(Connection.objects.get().calls_left)
    assert left == [4, 3, 2]
