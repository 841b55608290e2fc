"""POST /views/: filters of the table, saved under a name."""

from __future__ import annotations

from finetune_portal.accounts.models import User
from finetune_portal.jobs.models import SavedView
from tests.people import make_job, signed_in
from tests.worker.driving import text_of


def test_a_view_is_kept_under_its_name(alice: User, bob: User) -> None:
    make_job(bob)
    client = signed_in(alice)
    client.post("/views/", {"name": "Mine, failed", "query": "state=failed&mine=on&seen=1&before=7"})
    view = SavedView.objects.get()
    assert view.query == "state=failed&mine=on"
    assert "Mine, failed" in text_of(client, "/")
    assert "Mine, failed" not in text_of(signed_in(bob), "/")
    assert signed_in(bob).post(f"/views/{view.pk}/drop/").status_code == 404
    client.post(f"/views/{view.pk}/drop/")
    assert not SavedView.objects.exists()
