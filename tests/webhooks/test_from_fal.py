"""POST /hooks/fal/attempt/<token>/: a signed message has its job asked for, even one that was lost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import capabilities
from finetune_portal.connections import services as connections
from finetune_portal.connections.client import adapter_for
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.sync import follow
from finetune_portal.providers.fal import webhooks
from finetune_portal.queue.leases import claim
from finetune_portal.webhooks import services, signed
from finetune_portal.webhooks.models import Delivery, Message
from tests.fal.ledger import Job as Paid
from tests.fal.server import FakeFal
from tests.fal.webhooks import message
from tests.fal.webhooks import signed as headers_of
from tests.jobs.test_at_fal import follow_connection, followed, lost, start, transferred
from tests.people import person, signed_in
from tests.provider import says
from tests.waiting import until
from tests.web_server import WebServer
from tests.webhooks.conftest import knock
from tests.worker.driving import fresh, send_now, text_of

PUBLIC = "https://portal.example.com"
LIMIT = 64 * 1024


@pytest.fixture(autouse=True)
def public(settings: Any, fal: FakeFal) -> Iterator[None]:
    """A public address, where the messages of the fake do not go by themselves."""
    settings.PORTAL_URL = PUBLIC
    fal.webhook_times = 0
    webhooks.KEYS.clear()
    yield
    webhooks.KEYS.clear()


def path_of(paid: Paid) -> str:
    assert paid.webhook.startswith(f"{PUBLIC}/hooks/fal/")
    return urlsplit(paid.webhook).path


def posted(fal: FakeFal, paid: Paid, *, to: str = "") -> int:
    """The status of the answer to the message about a job that has ended."""
    headers, body = message(fal, paid)
    del headers["Content-Type"]
    return knock(to or path_of(paid), body, headers)


def verified() -> Delivery:
    """The oldest message that waits, after the worker looked at it."""
    Message.objects.update(due_at=now())
    delivery = Message.objects.order_by("pk").first().delivery
    assert signed.process_next()
    delivery.refresh_from_db()
    return delivery


def in_an_hour(job: Job) -> None:
    """Nobody looks at it by itself."""
    assert follow.follow_next()
    Training.objects.filter(job=job).update(due_at=now() + timedelta(hours=1))
    assert not follow.follow_next()


def state_of(job: Job) -> tuple[str, str | None]:
    job = fresh(job)
    return str(job.state), job.request_id


def test_it_comes_before_the_next_look_and_makes_the_job_current(
    web: WebServer, fal: FakeFal, settings: Any
) -> None:
    """By HTTP, to the real web process, whose environment has no key of fal."""
    settings.PROVIDER_KEYS = {"fal": ""}
    owner = person("alice", User.Role.MAKER)
    account = connections.add(name="Team at fal", provider="fal", key=fal.key, actor=owner)
    while account.capabilities_due_at <= now():
        assert capabilities.refresh_next()
        account.refresh_from_db()
    job = start(signed_in(owner), account, owner)
    transferred(job)
    job = send_now(job)
    in_an_hour(job)
    before = state_of(job)
    (paid,) = fal.jobs
    fal.finish(paid)
    paid.webhook = web.url + path_of(paid)
    calls = len(fal.requests)
    assert fal.deliver(paid).status == 200
    assert len(fal.requests) == calls, "nobody was asked while it was answered"
    assert state_of(job) == before
    delivery = verified()
    assert (delivery.result, delivery.job, delivery.event) == ("signed", job, "OK")
    assert follow.follow_next()
    assert state_of(job)[0] == State.READY
    assert not Message.objects.exists()


@pytest.mark.django_db
def test_a_message_during_a_look_causes_another_one(sent: Job, fal: FakeFal) -> None:
    fal.jobs[0].steps = ["IN_PROGRESS"]
    in_an_hour(sent)
    Training.objects.update(due_at=now())
    training = claim(Training.objects.select_related("job__connection"), seconds=60)
    assert training
    with adapter_for(training.job.connection) as adapter:
        follow.follow_soon(sent)
        follow._follow(training, adapter)
    assert follow.follow_next(), "it is due again"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "is_given"),
    [
        (PUBLIC, True),
        ("https://portal.example.com/portal", True),
        ("http://portal.example.com", False),
        ("https://127.0.0.1:8000", False),
        ("https://localhost", False),
        ("https://10.0.0.7", False),
        ("https://portal.lan", False),
    ],
)
def test_only_a_public_https_address_is_given_to_fal(
    ready_to_send: Job, fal: FakeFal, settings: Any, url: str, is_given: bool
) -> None:
    settings.PORTAL_URL = url
    job = send_now(ready_to_send)
    assert fal.jobs[0].webhook.startswith(f"{PUBLIC}/") is is_given
    assert (job.submit_attempts.get().nonce in fal.jobs[0].webhook) is is_given


@pytest.mark.django_db
@pytest.mark.parametrize("state", [State.UNCONFIRMED, State.NEEDS_DECISION, State.QUEUED, State.CLOSED])
def test_a_job_whose_answer_was_lost_is_found_by_its_message(
    ready_to_send: Job, fal: FakeFal, state: State
) -> None:
    """The history may never show it, and no message makes a second training."""
    job = lost(ready_to_send, fal, loses_answer=True, history_hole=True)
    Job.objects.filter(pk=job.pk).update(state=state, due_at=now() + timedelta(hours=1))
    (paid,) = fal.jobs
    fal.finish(paid)
    assert posted(fal, paid) == 200
    assert verified().outcome == "A signed webhook names it: it was accepted"
    assert state_of(job) == (State.REQUESTED, paid.id)
    assert [event.source for event in job.events.filter(state=State.REQUESTED)] == ["webhook"]
    assert job.submit_attempts.get().outcome == "accepted"
    assert until(lambda: followed(job).state == State.READY)
    follow_connection()
    assert len(fal.sent("submit")) == 1


@pytest.mark.django_db
def test_a_forged_message_changes_nothing_and_is_shown_as_one(sent: Job, fal: FakeFal, dana: User) -> None:
    in_an_hour(sent)
    before = state_of(sent)
    fal.finish(fal.jobs[0])
    fal.webhook_is_forged = True
    assert posted(fal, fal.jobs[0]) == 200
    assert verified().result == "unsigned"
    assert not follow.follow_next()
    assert state_of(sent) == before
    assert not Message.objects.exists(), "its body is not kept"
    page = text_of(signed_in(dana), "/settings/webhooks/deliveries/")
    assert "This message is not signed by fal." in page
    assert fal.jobs[0].id not in page, "nothing that it says is shown"


@pytest.mark.django_db
def test_a_forged_message_about_a_lost_job_leaves_it_lost(ready_to_send: Job, fal: FakeFal) -> None:
    job = lost(ready_to_send, fal, loses_answer=True, history_hole=True)
    fal.finish(fal.jobs[0])
    fal.webhook_is_forged = True
    posted(fal, fal.jobs[0])
    assert verified().result == "unsigned"
    assert state_of(job) == (State.UNCONFIRMED, None)


@pytest.mark.django_db
@pytest.mark.parametrize(("age", "result"), [(400, "unsigned"), (200, "signed")])
def test_an_old_message_is_not_believed_however_late_it_is_looked_at(
    sent: Job, fal: FakeFal, age: float, result: str
) -> None:
    """An hour passes before the worker comes."""
    fal.finish(fal.jobs[0])
    fal.webhook_age = 3600 + age
    posted(fal, fal.jobs[0])
    Delivery.objects.update(received_at=now() - timedelta(hours=1))
    assert verified().result == result


@pytest.mark.django_db
def test_a_doubled_message_is_stored_once_and_one_signed_anew_harms_nobody(
    ready_to_send: Job, fal: FakeFal
) -> None:
    job = lost(ready_to_send, fal, loses_answer=True)
    (paid,) = fal.jobs
    fal.finish(paid)
    headers, body = message(fal, paid)
    del headers["Content-Type"]
    for _ in range(3):
        assert knock(path_of(paid), body, headers) == 200
    assert Delivery.objects.count() == 1
    fal.webhook_age = 60
    assert posted(fal, paid) == 200
    outcomes = [verified().outcome, verified().outcome]
    assert outcomes == ["A signed webhook names it: it was accepted", "Signed: the job is asked for"]
    assert followed(job).state == State.READY
    fal.webhook_age = 30
    posted(fal, paid)
    assert verified().outcome == "Signed; the portal already knew the end of the job"
    assert not follow.follow_next()


@pytest.mark.django_db
def test_a_message_at_the_address_of_another_job_is_about_its_own(
    ready_to_send: Job, fal: FakeFal, connection: Connection, alice: User
) -> None:
    job = lost(ready_to_send, fal, loses_answer=True, history_hole=True)
    fal.loses_answer = False
    Connection.objects.update(last_answer_at=now())
    other = start(signed_in(alice), connection, alice)
    transferred(other)
    other = send_now(other)
    in_an_hour(other)
    lost_one, known_one = fal.jobs
    fal.finish(known_one)
    assert posted(fal, known_one, to=path_of(lost_one)) == 200
    delivery = verified()
    assert (delivery.job, delivery.outcome) == (other, "Signed: the job is asked for")
    assert state_of(job) == (State.UNCONFIRMED, None)
    twin = Connection.objects.create(name="The same account", provider="fal")  # set up twice
    Job.objects.filter(pk=other.pk).update(connection=twin)
    fal.webhook_age = 10
    assert posted(fal, known_one, to=path_of(lost_one)) == 200
    assert (verified().job, state_of(job)) == (other, (State.UNCONFIRMED, None))
    Job.objects.filter(pk=other.pk).update(connection=connection)
    assert followed(other).state == State.READY


@pytest.mark.django_db
def test_a_signed_message_about_the_job_of_another_account_is_not_believed(
    ready_to_send: Job, fal: FakeFal
) -> None:
    """The keys sign for everybody, and whoever knows the address may have it post there."""
    job = lost(ready_to_send, fal, loses_answer=True, history_hole=True)
    body = json.dumps({"request_id": "of-somebody-else", "status": "OK"}).encode()
    headers = headers_of(fal, "of-somebody-else", body)
    del headers["Content-Type"]
    assert knock(path_of(fal.jobs[0]), body, headers) == 200
    assert "the account does not know the job" in verified().outcome
    assert state_of(job) == (State.UNCONFIRMED, None)


@pytest.mark.django_db
def test_a_second_training_of_a_job_that_was_sent_again_gets_a_row(
    ready_to_send: Job, fal: FakeFal, alice: User
) -> None:
    job = lost(ready_to_send, fal, loses_answer=True, history_hole=True)
    fal.loses_answer = False
    Job.objects.filter(pk=job.pk).update(state=State.QUEUED, due_at=now())
    Connection.objects.update(last_answer_at=now())
    job = send_now(job)
    first, second = fal.jobs
    assert job.request_id == second.id
    assert path_of(first) != path_of(second)
    fal.finish(first)
    posted(fal, first)
    twin = verified().job
    assert twin != job
    assert twin.request_id == first.id
    fal.webhook_age = 10
    posted(fal, first)
    assert (verified().job, Job.objects.count()) == (twin, 2)
    assert fresh(job).request_id == second.id
    page = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert page.count("The provider has a second training of this job") == 1
    assert "it may be paid for twice" in text_of(signed_in(alice), f"/jobs/{twin.pk}/")


@pytest.mark.django_db
def test_a_job_that_was_moved_is_asked_for_at_the_account_that_its_message_is_about(
    ready_to_send: Job, fal: FakeFal, connection: Connection, dana: User
) -> None:
    fal.other_keys = {"another:key-of-a-studio"}
    studio = connections.add(name="Studio", provider="fal", key="another:key-of-a-studio", actor=dana)
    job = lost(ready_to_send, fal, loses_answer=True, history_hole=True)
    Job.objects.filter(pk=job.pk).update(state=State.CLOSED, connection=studio)
    (paid,) = fal.jobs
    fal.finish(paid)
    posted(fal, paid)
    verified()
    assert state_of(job) == (State.REQUESTED, paid.id)
    assert fresh(job).connection == connection


@pytest.mark.django_db
def test_after_a_new_key_messages_are_believed_again(sent: Job, fal: FakeFal) -> None:
    fal.finish(fal.jobs[0])
    posted(fal, fal.jobs[0])
    assert verified().result == "signed"
    fal.rotate_webhook_key(drop_old=True)
    posted(fal, fal.jobs[0])
    assert verified().result == "signed"


@pytest.mark.django_db
def test_while_the_keys_cannot_be_had_a_message_waits(sent: Job, fal: FakeFal) -> None:
    fal.finish(fal.jobs[0])
    posted(fal, fal.jobs[0])
    fal.script("jwks", says(503, b"<html>"))
    assert verified().result == "waiting"
    assert not signed.process_next(), "not at once again"
    assert verified().result == "signed"


@pytest.mark.django_db
def test_after_an_hour_without_the_keys_the_next_look_has_to_do(sent: Job, fal: FakeFal) -> None:
    fal.finish(fal.jobs[0])
    posted(fal, fal.jobs[0])
    Delivery.objects.update(received_at=now() - timedelta(seconds=3601))
    fal.webhook_age = 3601
    Message.objects.update(headers=dict(_lower(message(fal, fal.jobs[0])[0])))
    fal.script("jwks", says(503, b"<html>"))
    delivery = verified()
    assert (delivery.result, Message.objects.count()) == ("not_asked", 0)
    assert "Could not be verified" in delivery.outcome
    assert followed(sent).state == State.READY


def _lower(headers: dict[str, str]) -> Iterator[tuple[str, str]]:
    return ((name.lower(), value) for name, value in headers.items() if "Fal-Webhook" in name)


@pytest.mark.django_db
def test_what_is_too_large_or_unsigned_is_not_stored(sent: Job, fal: FakeFal) -> None:
    fal.finish(fal.jobs[0])
    headers, _ = message(fal, fal.jobs[0])
    del headers["Content-Type"]
    path = path_of(fal.jobs[0])
    assert knock(path, b" " * (LIMIT + 1), headers) == 413
    name = "X-Fal-Webhook-User-Id"
    for odd in ("", "nul \0", "x" * 501, "\u202e"):
        assert knock(path, {}, {**headers, name: odd}) == 401
    assert knock(path, {}) == 401
    assert not Delivery.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("body", [b"", b"\0" * 100, b"\xff\xfe", b"[" * 30_000, b" " * LIMIT])
@pytest.mark.usefixtures("without_collector")
def test_garbage_is_stored_and_not_believed(sent: Job, fal: FakeFal, body: bytes) -> None:
    headers = headers_of(fal, str(sent.request_id), body)
    del headers["Content-Type"]
    assert knock(path_of(fal.jobs[0]), body, headers) == 200
    delivery = verified()
    assert (delivery.result, delivery.event, delivery.size) == ("unsigned", "", len(body))


@pytest.mark.django_db
def test_who_knows_an_address_fills_no_table(sent: Job, fal: FakeFal) -> None:
    fal.finish(fal.jobs[0])
    headers, body = message(fal, fal.jobs[0])
    del headers["Content-Type"]
    path = path_of(fal.jobs[0])
    assert knock(path, body, headers) == 200
    answers = [knock(path, b"%d" % number, headers) for number in range(signed.MOST_A_DAY + 5)]
    assert answers == [200] * (signed.MOST_A_DAY - 1) + [429] * 6
    assert knock(path, body, headers) == 200, "it is stored already"
    assert Delivery.objects.count() == Message.objects.count() == signed.MOST_A_DAY
    Delivery.objects.update(received_at=now() - timedelta(days=1))
    assert knock(path, b"tomorrow", headers) == 200


@pytest.mark.django_db
def test_a_wrong_address_costs_no_query(sent: Job, fal: FakeFal, django_assert_num_queries: Any) -> None:
    nonce = sent.submit_attempts.get().nonce
    wrong = (nonce, f"{nonce}.{'x' * 43}", f"{nonce}.", "x" * 5000, "no-such-token")
    with django_assert_num_queries(0):
        for token in wrong:
            assert knock(f"/hooks/fal/attempt/{token}/", {}) == 404


@pytest.mark.django_db
def test_an_address_is_good_at_its_own_provider_while_the_connection_is_in_use(
    sent: Job, fal: FakeFal, connection: Connection
) -> None:
    fal.finish(fal.jobs[0])
    path = path_of(fal.jobs[0])
    for other in ("segmind", "no-such-provider"):
        assert posted(fal, fal.jobs[0], to=path.replace("/fal/", f"/{other}/")) == 404
    Connection.objects.filter(pk=connection.pk).update(disabled_at=now())
    assert posted(fal, fal.jobs[0]) == 404
    assert not Delivery.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_only_post_is_answered(sent: Job, fal: FakeFal, method: str) -> None:
    assert getattr(Client(), method)(path_of(fal.jobs[0])).status_code == 405


@pytest.mark.django_db
def test_messages_do_not_wait_among_the_deliveries_of_segmind(sent: Job, fal: FakeFal) -> None:
    fal.finish(fal.jobs[0])
    posted(fal, fal.jobs[0])
    assert not services.process_next_delivery()
    assert verified().result == "signed"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "words"),
    [(PUBLIC, "In use for each new job"), ("http://127.0.0.1:8000", "has no public https address")],
)
def test_the_page_says_that_nothing_has_to_be_set_up(
    connection: Connection, dana: User, settings: Any, url: str, words: str
) -> None:
    settings.PORTAL_URL = url
    html = text_of(signed_in(dana), "/settings/webhooks/")
    page = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "Set up automatically" in page
    assert words in page
    Connection.objects.filter(pk=connection.pk).update(disabled_at=now())
    assert "Set up automatically" not in text_of(signed_in(dana), "/settings/webhooks/")
