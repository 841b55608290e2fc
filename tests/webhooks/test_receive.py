"""POST /hooks/segmind/<token>/: stored, answered, and later looked up at the provider. Never believed."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job
from finetune_portal.webhooks import services
from finetune_portal.webhooks.models import Delivery, Endpoint
from tests.conftest import StartEngine
from tests.engine.calling import reached, started
from tests.engine.sink import listening
from tests.people import make_job
from tests.provider import ScriptedProvider
from tests.running import RunningEngine
from tests.waiting import until
from tests.webhooks.conftest import knock
from tests.worker.driving import follow_now, fresh, point_at, point_nowhere

LIMIT = 64 * 1024


def test_a_delivery_is_stored_and_answered(address: str) -> None:
    fields = {"type": "finetune.available", "finetune_id": "f-1", "status": "AVAILABLE"}
    assert knock(address, fields) == 200
    delivery = Delivery.objects.get()
    assert (delivery.request_id, delivery.event, delivery.processed_at) == ("f-1", "AVAILABLE", None)
    assert delivery.size == len(json.dumps(fields))


def test_a_delivery_asks_nobody_while_it_is_answered(address: str, settings: Any) -> None:
    """W4"""
    with ScriptedProvider() as provider:
        point_at(settings, provider)
        assert knock(address, {"finetune_id": "f-1"}) == 200
        assert provider.requests == []


@pytest.mark.parametrize("token", ["wrong", "x" * 43])
def test_a_wrong_token_is_an_unknown_address(address: str, token: str) -> None:
    """W1"""
    assert knock(f"/hooks/segmind/{token}/", {"finetune_id": "f-1"}) == 404
    assert not Delivery.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[1, 2]",
        b'"text"',
        b"[" * 30_000,
        b'{"finetune_id": {"$gt": ""}, "status": ["AVAILABLE"]}',
        b'{"finetune_id": "\\u0000\\ud800\\u202e", "status": "' + b"x" * 500 + b'"}',
        b'{"finetune_id": ' + b"9" * 5000 + b"}",
    ],
)
@pytest.mark.usefixtures("without_collector")
def test_garbage_is_stored_too(address: str, body: bytes) -> None:
    """W5: an answer that says no would only make the sender try again."""
    assert knock(address, body) == 200
    delivery = Delivery.objects.get()
    assert (delivery.size, delivery.request_id) == (len(body), "")


def test_a_body_above_64_kib_is_refused(address: str) -> None:
    assert knock(address, b" " * LIMIT) == 200
    assert knock(address, b" " * (LIMIT + 1)) == 413
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_only_post_is_answered(address: str, method: str) -> None:
    assert getattr(Client(), method)(address).status_code == 405
    assert not Delivery.objects.exists()


def test_the_payload_sets_nothing(address: str, alice: User, settings: Any) -> None:
    """W2, W7: a stolen token makes the portal look once more, nothing else."""
    with ScriptedProvider() as provider:
        point_at(settings, provider)
        provider.states = ("TRAINING_INITIATED",)
        request_id = provider.adds("hats").id
        job = make_job(alice, "training", request_id=request_id, provider_status="TRAINING_INITIATED")
        evil = f"{provider.url}/storage/evil.safetensors"
        fields = {"finetune_id": request_id, "status": "AVAILABLE", "name": "evil", "error_message": "evil"}
        knock(address, {**fields, "cloud_storage_url": evil, "trained_model_url": evil, "public_model": True})
        assert services.process_next_delivery()
        assert [request.path for request in provider.requests] == ["/finetune/request/details"]
    job = fresh(job)
    assert (job.state, job.name, job.is_public) == ("training", "Day to night", False)
    assert "evil" not in str([list(model._default_manager.values()) for model in apps.get_models()])


def test_the_provider_is_asked_and_its_word_counts(
    address: str, alice: User, engine: RunningEngine, settings: Any
) -> None:
    point_at(settings, engine)
    request_id = reached(engine, started(engine), "AVAILABLE")["finetune_id"]
    job = make_job(alice, "training", request_id=request_id)
    knock(address, {"finetune_id": request_id, "status": "FAILED"})
    assert services.process_next_delivery()
    assert fresh(job).state == "ready"
    assert [(event.text, event.source) for event in job.events.all()] == [("Ready", "webhook")]
    delivery = Delivery.objects.get()
    assert delivery.processed_at
    assert (delivery.job, delivery.result, delivery.outcome) == (job, "looked_up", "Looked up: Ready")
    assert not services.process_next_delivery()


def test_a_thousand_copies_are_one_look_up(address: str, alice: User, settings: Any) -> None:
    """W3"""
    with ScriptedProvider() as provider:
        point_at(settings, provider)
        request_id = provider.adds("hats").id
        make_job(alice, "training", request_id=request_id)
        Delivery.objects.bulk_create(Delivery(request_id=request_id, size=1) for _ in range(1000))
        assert services.process_next_delivery()
        assert not services.process_next_delivery()
        assert len(provider.requests) == 1


@pytest.mark.parametrize("payload", [{"finetune_id": "someone-elses"}, {}])
def test_what_names_no_job_of_ours_makes_none_but_has_the_list_read(address: str, payload: Any) -> None:
    """W6"""
    connections.built_in()
    Connection.objects.update(due_at=now() + timedelta(hours=1))
    knock(address, payload)
    assert services.process_next_delivery()
    assert Connection.objects.get().due_at <= now()
    assert Delivery.objects.get().result == "listed"
    assert not Job.objects.exists()


def test_a_dead_provider_is_noted_and_the_list_makes_up_for_it(
    address: str, alice: User, engine: RunningEngine, settings: Any
) -> None:
    point_nowhere(settings)
    request_id = reached(engine, started(engine), "AVAILABLE")["finetune_id"]
    job = make_job(alice, "training", request_id=request_id)
    knock(address, {"finetune_id": request_id})
    assert services.process_next_delivery()
    delivery = Delivery.objects.get()
    assert "could not be asked: The provider cannot be reached." in delivery.outcome
    assert (delivery.result, delivery.job) == ("not_asked", job)
    assert fresh(job).state == "training"
    assert Connection.objects.get().due_at <= now()

    point_at(settings, engine)
    follow_now()
    assert fresh(job).state == "ready"


def test_the_engines_own_deliveries_are_understood(
    address: str, alice: User, engines: StartEngine, settings: Any
) -> None:
    with listening() as sink:
        engine = engines(ENGINE_WEBHOOK_URL=f"{sink.url}/")
        point_at(settings, engine)
        job = make_job(alice, "requested", request_id=started(engine))
        until(lambda: [seen for seen in sink.seen if b"AVAILABLE" in seen.body])
    for seen in sink.seen:
        assert knock(address, seen.body) == 200
    assert {delivery.request_id for delivery in Delivery.objects.all()} == {job.request_id}
    assert services.process_next_delivery()
    assert not services.process_next_delivery(), "all of them were news of one job"
    assert fresh(job).state == "ready"


def test_the_token_is_only_hashed_in_the_database(address: str) -> None:
    token = address.strip("/").split("/")[-1]
    knock(address, {"finetune_id": "f-1"})
    rows = str([list(model._default_manager.values()) for model in apps.get_models()])
    assert hashlib.sha256(token.encode()).hexdigest() in rows
    assert token not in rows


def test_after_a_rotation_both_are_good_for_a_day(address: str, dana: User) -> None:
    """W11"""
    newer = urlsplit(services.new_address(actor=dana)).path
    assert knock(address, {}) == knock(newer, {}) == 200
    old = Endpoint.objects.get(expires_at__isnull=False)
    assert timedelta(hours=23) < old.expires_at - now() <= timedelta(hours=24)
    Endpoint.objects.filter(pk=old.pk).update(expires_at=now())
    assert (knock(address, {}), knock(newer, {})) == (404, 200)


def test_no_rotation_ends_the_local_engines_own_address(dana: User) -> None:
    local = urlsplit(services.local_endpoint_url()).path
    for _ in range(2):
        services.new_address(actor=dana)
    assert Endpoint.objects.get(is_local_engine=True).expires_at is None
    assert knock(local, {}) == 200
    assert urlsplit(services.local_endpoint_url()).path == local


def test_old_deliveries_are_forgotten_a_few_at_a_time(db: None) -> None:
    old = now() - timedelta(days=31)
    Delivery.objects.bulk_create(Delivery(received_at=old, size=1) for _ in range(services.DELETE_BATCH + 1))
    kept = Delivery.objects.create(size=1)
    assert services.delete_old(), "there may be more"
    assert Delivery.objects.count() == 2
    assert not services.delete_old()
    assert Delivery.objects.get() == kept


def test_no_more_than_the_newest_are_kept(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MAX_DELIVERIES", 3)
    made = [Delivery.objects.create(size=1) for _ in range(5)]
    assert not services.delete_old()
    assert list(Delivery.objects.order_by("pk")) == made[2:]


def test_a_database_that_does_not_answer_is_no_fault_of_the_sender(address: str) -> None:
    """W9: a sender that tries again does so, and the list covers the rest."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE webhooks_delivery RENAME TO webhooks_gone")
    response = Client().post(address, b"{}", content_type="application/json")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "30")
