"""The audit record: append-only, filtered, exported."""

from __future__ import annotations

import ast
import csv
import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management.color import no_style
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils.html import strip_tags
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit import append_only, services
from finetune_portal.audit.models import AuditEvent
from finetune_portal.audit.sentences import SENTENCES
from finetune_portal.jobs.models import Job, Limits
from tests.people import make_dataset, signed_in
from tests.running import ROOT


@pytest.fixture
def append_only_table(db: None) -> Iterator[None]:
    """Install the triggers that every installation has."""
    append_only.install()
    yield
    append_only.remove()


def event(actor: User | None = None, action: str = "job.start", **fields: Any) -> AuditEvent:
    return AuditEvent.objects.create(actor=actor, action=action, thing=fields.pop("thing", "job 1"), **fields)


def text(client: Client, query: str = "") -> str:
    response = client.get(f"/audit/{query}")
    assert response.status_code == 200
    return response.content.decode()


def empty_the_table() -> None:
    """By TRUNCATE on PostgreSQL, not row by row."""
    connection.check_constraints()
    connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), [append_only.TABLE]))


def test_the_database_refuses_to_change_an_entry(append_only_table: None, dana: User) -> None:
    event(dana)
    for change in (
        empty_the_table,
        lambda: AuditEvent.objects.update(action="nothing"),
        lambda: AuditEvent.objects.all().delete(),
        lambda: AuditEvent.objects.get().delete(),
    ):
        with pytest.raises(DatabaseError, match="can only grow"), transaction.atomic():
            change()
    assert AuditEvent.objects.get().action == "job.start"


def test_an_entry_may_lose_its_details_and_nothing_else(append_only_table: None, dana: User) -> None:
    job, other = event(dana, detail={"name": "hats"}), event(dana, thing="job 2", detail={"name": "caps"})
    for change in (
        lambda: AuditEvent.objects.update(detail={"name": "another"}),
        lambda: AuditEvent.objects.update(detail={}, actor=None),
        lambda: AuditEvent.objects.update(detail={}, at=now()),
    ):
        with pytest.raises(DatabaseError, match="can only grow"), transaction.atomic():
            change()
    services.redact([Job(pk=1)])
    assert [AuditEvent.objects.get(pk=each.pk).detail for each in (job, other)] == [{}, {"name": "caps"}]


def test_the_triggers_of_an_earlier_version_are_replaced(append_only_table: None, dana: User) -> None:
    append_only.install()
    event(dana, detail={"name": "hats"})
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER audit_no_change")
            cursor.execute(
                f"CREATE TRIGGER audit_no_change BEFORE UPDATE ON {append_only.TABLE} "
                "BEGIN SELECT RAISE(ABORT, 'of an earlier version'); END"
            )
    append_only.install()
    services.redact([Job(pk=1)])
    assert AuditEvent.objects.get().detail == {}


def test_old_entries_are_deleted_only_by_the_setting(
    append_only_table: None, dana: User, settings: Any
) -> None:
    event(at=now() - timedelta(days=100))
    recent = event(at=now() - timedelta(days=80))
    assert not services.delete_old(), "0 keeps all of them"
    settings.AUDIT_KEEP_DAYS = 90
    assert services.delete_old()
    assert not services.delete_old()
    assert list(AuditEvent.objects.all()) == [recent]


def test_an_entry_has_actor_address_and_request(alice: User) -> None:
    dataset = make_dataset(alice)
    response = signed_in(alice).post(f"/datasets/{dataset.pk}/rename/", {"name": "dusk"})
    entry = AuditEvent.objects.get(action="dataset.rename")
    assert (entry.actor, entry.thing, entry.address) == (alice, f"dataset {dataset.pk}", "127.0.0.1")
    assert entry.request_id == response.headers["X-Request-ID"]
    assert entry.change == ("night", "dusk")


def test_only_admins_read_the_audit_record(alice: User, charlie: User, client: Client) -> None:
    for url in ("/audit/", "/audit/csv/"):
        assert signed_in(alice).get(url).status_code == 403
        assert signed_in(charlie).get(url).status_code == 403
        assert client.get(url).headers["Location"].startswith("/login/")
        assert "/audit/" not in signed_in(alice).get("/").content.decode()


def test_the_query_filters_the_entries(alice: User, dana: User) -> None:
    event(alice, thing="job 1"), event(dana, "job.download", thing="job 2")
    event(None, "dataset.check", thing="dataset 3", at=now() - timedelta(days=3))
    client = signed_in(dana)
    for query, shown, hidden in (
        ("", "job 1", "nothing of the kind"),
        (f"?actor={alice.pk}", "job 1", "job 2"),
        ("?action=job.download", "job 2", "job 1"),
        ("?action=job.", "job 2", "dataset 3"),
        ("?thing=Job+2", "job 2", "job 1"),
        (f"?until={now() - timedelta(days=2):%Y-%m-%d}", "dataset 3", "job 1"),
        (f"?since={now():%Y-%m-%d}", "job 1", "dataset 3"),
        ("?actor=x&since=never&action=no.such", "job 1", "nothing of the kind"),
    ):
        html = text(client, query).partition("<tbody>")[2]
        assert shown in html, query
        assert hidden not in html, query
    assert "No matching entries" in text(client, "?thing=job+99")
    for label in ("From (UTC)", "To (UTC)"):
        assert f">{label}</label>" in text(client, ""), "the times beside them are the viewer’s own"


def test_an_entry_is_a_sentence_that_leads_to_what_it_is_about(alice: User, dana: User) -> None:
    event(
        dana, action="account.role", thing=f"user {alice.pk}", detail={"before": "viewer", "after": "maker"}
    )
    event(dana, action="job.public", thing="job 77", detail={"name": "hats"})
    event(dana, action="job.start", thing="job 76")
    event(None, action="some.thing", thing="job 78")
    event(alice, action="session.began", thing=f"user {alice.pk}")
    html = text(signed_in(dana))
    sentences = [" ".join(strip_tags(cell).split()) for cell in html.split('<td class="what">')[1:]]
    began, unknown, started, public, changed = sentences
    assert began.startswith("Alice signed in")
    assert unknown.startswith("The portal some.thing job 78")
    assert started.startswith("Dana started the job 76")
    assert public.startswith("Dana made the model of hats public")
    assert changed.startswith("Dana changed the role of Alice")
    assert f'<a href="/team/{alice.pk}/"><bdi>Alice</bdi></a>' in html
    assert '"/jobs/77/"' not in html, "it was deleted"


def test_a_sentence_is_known_for_each_action() -> None:
    for action in recorded_actions():
        assert action in SENTENCES, action


def recorded_actions() -> set[str]:
    """The actions that the product records, as its source names them."""
    calls = [
        node
        for path in (ROOT / "finetune_portal").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "record" and len(node.args) > 1
    ]
    named = [node for call in calls for node in ast.walk(call.args[1]) if isinstance(node, ast.Constant)]
    known = {node.value for node in named if isinstance(node.value, str) and "." in node.value.strip(".")}
    assert len(known) > 60
    fields = {f"limit.{each.name}" for each in Limits._meta.fields if each.name != "id"}
    return known | fields | {f"{each}.delete-all" for each in ("job", "dataset", "project")}


def test_the_entries_are_paged(dana: User) -> None:
    for number in range(60):
        event(dana, thing=f"job {number:03}")
    first = text(signed_in(dana))
    assert "job 059" in first
    assert "job 009" not in first
    key = AuditEvent.objects.order_by("-pk")[49].pk
    assert f"before={key}" in first
    assert "job 009" in text(signed_in(dana), f"?before={key}")


def test_the_csv_holds_what_is_shown_and_starts_no_formula(alice: User, dana: User) -> None:
    event(alice, detail={"name": "hats"}, thing="=HYPERLINK(1)", address="10.0.0.7")
    event(dana, "job.download")
    response = signed_in(dana).get(f"/audit/csv/?actor={alice.pk}")
    head, line = csv.reader(io.StringIO(response.content.decode()))
    row = dict(zip(head, line, strict=True))
    assert row["who"] == "Alice <alice@example.com>"
    assert (row["on what"], row["details"]) == ("'=HYPERLINK(1)", '{"name": "hats"}')
    assert row["address"] == "10.0.0.7"
    assert "attachment" in response.headers["Content-Disposition"]
    assert AuditEvent.objects.latest("pk").action == "audit.export", "an export is recorded, too"
