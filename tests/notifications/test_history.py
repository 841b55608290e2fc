"""The bell: who finds what in it, how it is read, and how long it is kept."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from django.db import connection as database
from django.db import transaction
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import closing
from finetune_portal.connections import services as connections
from finetune_portal.costs import budgets
from finetune_portal.costs.models import Budget
from finetune_portal.jobs import services as jobs
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.timeline import Source, move
from finetune_portal.notifications import history
from finetune_portal.notifications.models import HistoryEntry
from finetune_portal.projects import services as projects
from finetune_portal.providers.contract import Money, Price
from finetune_portal.worker.tasks import cleanup
from tests.people import HTMX, make_job, signed_in, waits_for_approval

PAGE, UNREAD = "/notifications/", "/notifications/unread/"


def sentences(user: User) -> list[str]:
    """What the page says, the newest first."""
    page = signed_in(user).get(PAGE).context["page"]
    return [str(entry) for entry in page.rows]


def ended(owner: User, state: State = State.READY, **fields: str) -> Job:
    job = make_job(owner, State.TRAINING)
    assert move(job, state, state.label, source=Source.POLL, **fields)
    return job


def test_the_owner_finds_what_their_jobs_came_to(alice: User, bob: User, dana: User) -> None:
    ended(alice)
    ended(alice, State.FAILED, error="out of memory")
    ended(alice, State.FAILED, error="Cancelled.")
    ended(alice, State.NEEDS_DECISION)
    happened = ["needs a decision", "was cancelled", "failed", "is ready"]
    assert sentences(alice) == [f"“Day to night” {each}" for each in happened]
    assert sentences(bob) == []
    assert sentences(dana) == ["“Day to night” needs a decision"], "an admin has to act on this one alone"


def test_what_is_over_is_in_the_past_tense(alice: User, dana: User) -> None:
    job = ended(alice, State.NEEDS_DECISION)
    jobs.decide(job, resend=False, actor=dana)
    assert sentences(alice) == ["“Day to night” needed a decision"]


def test_approvals_go_to_admins_and_what_became_of_them_to_the_owner(alice: User, dana: User) -> None:
    job = waits_for_approval(make_job(alice))
    history.add_state(job.events.create(state=State.APPROVAL, text="Waits", source=Source.PORTAL))
    assert sentences(dana)[0] == "“Day to night” waits for an approval"
    jobs.decline(Job.objects.get(pk=job.pk), reason="Not now", actor=dana)
    assert sentences(alice) == ["“Day to night” was declined"]
    assert sentences(dana)[0] == "“Day to night” waited for an approval"


def test_admins_find_a_closed_connection_and_an_exceeded_budget_once(alice: User, dana: User) -> None:
    account = connections.built_in()
    for _ in range(2):
        closing.note_closed(account, "No new jobs.")
        exceeds_a_budget(alice)
    assert len(sentences(dana)) == 2
    assert f"“{account}” was closed to new jobs" in sentences(dana)
    assert "“Everybody” went over its monthly budget" in sentences(dana)
    assert sentences(alice) == []
    User.objects.filter(pk=dana.pk).update(role=User.Role.MAKER)
    assert sentences(User.objects.get(pk=dana.pk)) == [], "who is no admin any more sees neither"


def exceeds_a_budget(person: User) -> None:
    Budget.objects.get_or_create(currency="credits", amount=Decimal(5), action=Budget.Action.WARN)
    budgets.judge(person, connections.built_in(), Money(Decimal(9), "credits", Price.QUOTED))


def test_an_event_that_is_taken_back_is_not_there(alice: User) -> None:
    with transaction.atomic():
        ended(alice)
        transaction.set_rollback(True)
    assert not HistoryEntry.objects.exists()


def test_the_bell_counts_and_opening_it_marks_as_read(alice: User) -> None:
    client, job = signed_in(alice), ended(alice)
    assert ">1</span>" in client.get(UNREAD, headers=HTMX).content.decode()
    opened = client.post(PAGE, headers=HTMX).content.decode()
    assert f'href="{job.get_absolute_url()}"' in opened
    assert 'class="is-unread"' in opened, "what was unread until now is marked once more"
    assert "unread</span></span>" not in client.get(UNREAD, headers=HTMX).content.decode()
    assert client.get(PAGE).status_code == 200
    assert "is-unread" not in client.get(PAGE).content.decode()


def test_opening_the_bell_marks_only_what_it_lists(alice: User) -> None:
    for _ in range(10):
        ended(alice)
    signed_in(alice).post(PAGE, headers=HTMX)
    assert history.unread_count(alice) == 2


def test_without_scripts_the_page_marks_what_it_showed(alice: User) -> None:
    client = signed_in(alice)
    ended(alice)
    newest = client.get(PAGE).context["newest"]
    ended(alice)
    assert client.post(PAGE, {"newest": newest}).status_code == 302
    assert history.unread_count(alice) == 1, "it came after the page"


def test_a_private_project_takes_its_jobs_out_of_the_history(alice: User, dana: User) -> None:
    job, project = ended(alice), projects.add("Client", actor=dana)
    Job.objects.filter(pk=job.pk).update(project=project)
    projects.set_private(project, private=True, actor=dana)
    assert sentences(alice) == []
    assert history.unread_count(alice) == 0
    projects.add_member(project, alice, actor=dana)
    assert history.unread_count(alice) == 1


def test_pages_of_fifty_lead_to_each_other(alice: User) -> None:
    job, client = make_job(alice), signed_in(alice)
    HistoryEntry.objects.bulk_create(HistoryEntry(person=alice, job=job, event="failed") for _ in range(60))
    with CaptureQueriesContext(
        database,
    ) as few:
        first = client.get(PAGE)
    assert len(first.context["page"].rows) == 50
    assert len(client.get(f"{PAGE}?before={first.context['page'].older}").context["page"].rows) == 10
    HistoryEntry.objects.filter(pk__in=HistoryEntry.objects.values("pk")[2:]).delete()
    with CaptureQueriesContext(database) as fewer:
        client.get(PAGE)
    assert len(few) == len(fewer), "no query for each row"


def test_old_entries_are_deleted(alice: User) -> None:
    ended(alice)
    ended(alice)
    first = HistoryEntry.objects.order_by("pk")[0]
    HistoryEntry.objects.filter(pk=first.pk).update(created_at=now() - history.RETENTION - timedelta(hours=1))
    cleanup()
    assert HistoryEntry.objects.count() == 1
