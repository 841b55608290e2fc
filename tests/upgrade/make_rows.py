"""The rows of the fixture, made with the services of release 35ee960: people and settings (see `make.py`)."""

# ruff: noqa: I001 - the order would follow which modules of that release are still here

from __future__ import annotations

import contextlib
import json
import re
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import make_jobs
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts import services as accounts
from finetune_portal.accounts.models import Invitation, User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.audit.services import record
from finetune_portal.connections import services as accounts_at_providers
from finetune_portal.connections.models import Call, Connection, Kind
from finetune_portal.gateway import services as gateway
from finetune_portal.gateway.models import AccessToken
from finetune_portal.jobs import desk, limits
from finetune_portal.jobs.models import Job
from finetune_portal.notices import outbox
from finetune_portal.notices import services as notices
from finetune_portal.notices.models import Event, Notice
from finetune_portal.web.sealing import seal
from finetune_portal.webhooks import self_test
from finetune_portal.webhooks import services as webhooks
from finetune_portal.webhooks.models import Delivery
from finetune_portal.worker.lanes import LANES
from finetune_portal.worker.models import Heartbeat
from tests.upstream import Upstream

PASSWORD = "for tests only: correct horse"  # of everybody in the fixture
KEYS = {"Vendor": "for-tests-only-key-of-vendor-1111", "Studio": "for-tests-only-key-of-studio-2222"}
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
ANCIENT = timedelta(days=60)


def fill(data: Path, ports: dict[str, int]) -> dict[str, Any]:
    """Fill the database and the folder; answers the facts that the test compares with."""
    settings.ALLOWED_HOSTS.append("testserver")
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    call_command("migrate", verbosity=0)
    facts: dict[str, Any] = {"password": PASSWORD, "keys": KEYS}
    people = make_people(facts)
    with Upstream(KEYS["Vendor"]) as vendor, Upstream(KEYS["Studio"]) as studio:
        settings.UPSTREAMS += [vendor.url, studio.url]
        connections = make_connections(people, vendor.url, studio.url)
        make_channels(people)
        facts |= make_jobs.fill(data, people, connections, vendor, studio)
        addresses = {"vendor": vendor.url, "studio": studio.url}
    facts["addresses"] = addresses | {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    send_some(facts)
    make_hooks(people, facts)
    make_tokens(people, facts)
    make_table_things(people, facts)
    make_the_rest(people)
    facts["audit"] = audit_lines()
    facts["made_at"] = now().isoformat()
    return facts


def make_people(facts: dict[str, Any]) -> dict[str, Any]:
    """Ada administers, Alice and Bob make, Charlie looks, Frank has left."""
    ada = User.objects.create_user("ada@example.com", PASSWORD, name="Ada", role="admin")
    record(ada, "account.created", ada, role="admin", by="environment")
    people = {"ada": ada}
    for name, role in (("alice", "maker"), ("bob", "maker"), ("charlie", "viewer"), ("frank", "maker")):
        link = accounts.invite(role, email="", actor=ada)
        invitation = accounts.open_invitation(link.rstrip("/").rpartition("/")[2])
        assert invitation
        email = f"{name}@example.com"
        made = accounts.accept(invitation, email=email, name=name.title(), password=PASSWORD)
        assert made
        people[name] = made
    accounts.rename(people["alice"], "Alice Ω")
    accounts.deactivate(people["frank"], actor=ada)
    facts["invitation"] = accounts.invite("maker", email="erin@example.com", actor=ada).partition("/setup/")[
        2
    ]
    accounts.invite("viewer", email="late@example.com", actor=ada)
    Invitation.objects.filter(email="late@example.com").update(expires=now() - timedelta(days=1))
    facts["cookies"] = {name: sign_in(people[name]).cookies["sessionid"].value for name in ("ada", "alice")}
    facts |= set_up_second_factors(people)
    return people


def sign_in(person: Any) -> Client:
    client = Client(headers={"user-agent": BROWSER})
    answer = client.post("/login/", {"username": person.email, "password": PASSWORD})
    assert answer.status_code == 302, answer.content.decode()
    assert client.get("/").status_code == 200
    return client


def set_up_second_factors(people: dict[str, Any]) -> dict[str, Any]:
    """Bob has an app and recovery codes, Charlie a security key; Bob also comes by single sign-on."""
    home = "/profile/second-factor/"
    client = sign_in(people["bob"])
    secret = re.search(r"<code>([A-Z2-7]{32})</code>", client.get(f"{home}app/").content.decode())
    assert secret
    code = format_hotp_value(hotp_value(secret[1], int(time.time()) // 30))
    assert client.post(f"{home}app/", {"code": code}).headers["Location"] == f"{home}codes/"
    page = client.get(f"{home}codes/").content.decode()
    codes = re.search(r"<code>([\d\s]+)</code>", page)
    assert codes, page
    credential = {"id": "Zm9yLXRlc3RzLW9ubHk", "clientExtensionResults": {"credProps": {"rk": False}}}
    key = {"name": "Charlie’s stick", "passwordless": False, "credential": credential}
    Authenticator.objects.create(user=people["charlie"], type="webauthn", data=key)
    SocialAccount.objects.create(user=people["bob"], provider="oidc", uid="bob-at-the-company", extra_data={})
    return {"app_secret": secret[1], "recovery_codes": codes[1].split()}


def make_connections(people: dict[str, Any], vendor: str, studio: str) -> dict[str, Any]:
    """The engine by default, two accounts with sealed keys, one switched off, one of the environment."""
    ada = people["ada"]
    engine = accounts_at_providers.built_in()
    accounts_at_providers.make_default(engine, actor=ada)
    named = {"Vendor": vendor, "Studio": studio, "Old account": "https://api.segmind.com"}
    made = {
        name: accounts_at_providers.add(
            name=name, base_url=url, key=KEYS.get(name, "for-tests-only-old-key-3333"), actor=ada
        )
        for name, url in named.items()
    }
    accounts_at_providers.change_key(made["Old account"], "for-tests-only-newer-key-4444", actor=ada)
    accounts_at_providers.switch(made["Old account"], on=False, actor=ada)
    sealed = seal("for-tests-only-key-of-then-5555")
    Connection.objects.create(kind=Kind.ENVIRONMENT, name="Segmind", sealed_key=sealed, last_four="5555")
    Call.objects.create(connection=made["Vendor"])
    return {"engine": engine, "vendor": made["Vendor"], "studio": made["Studio"]}


def make_channels(people: dict[str, Any]) -> None:

    alice, ada = people["alice"], people["ada"]
    by_mail = {"kind": "email", "label": "", "for_team": False}
    notices.add(actor=alice, address=alice.email, shown=alice.email, **by_mail)
    secret = "json://127.0.0.1:9/for-tests-only-secret-path"
    notices.add(
        actor=ada,
        kind="apprise",
        address=secret,
        shown="JSON at 127.0.0.1:9",
        label="Ops room",
        for_team=True,
    )
    switched = notices.add(actor=people["bob"], address="bob@example.com", shown="bob@example.com", **by_mail)

    notices.switch(switched, Event.READY, on=False, actor=people["bob"])


def send_some(facts: dict[str, Any]) -> None:
    """Some notices are sent, the ones to the team are refused, the rest waits."""
    outbox.write()
    waiting = Notice.objects.filter(done=None).select_related("channel", "job").order_by("pk")
    its = [each for each in waiting if each.channel.kind == "email" and each.event != "test"]
    left = [each for each in its if each.event == "ready"][-1:] + [
        each for each in its if each.event == "decision"
    ]
    Notice.objects.filter(pk__in=[each.pk for each in left]).update(due=now() + timedelta(hours=1))
    while outbox.send_next():
        pass
    Notice.objects.filter(pk__in=[each.pk for each in left]).update(due=now())
    assert mail.outbox
    facts["mails_sent"] = [each.subject for each in mail.outbox]  # type: ignore[attr-defined]
    facts["mails_due"] = sorted([each.channel.shown, each.job.name, each.event] for each in left)


def make_hooks(people: dict[str, Any], facts: dict[str, Any]) -> None:
    """The address of today, the one before, and a delivery of each outcome."""
    ada = people["ada"]
    addresses = [webhooks.new_address(actor=ada) for _ in range(2)]
    facts["hooks"] = [each.partition("/hooks/")[2] for each in addresses]
    webhooks.local_hook_url()
    door = webhooks.behind(addresses[1].rstrip("/").rpartition("/")[2])
    assert door
    known = str(Job.objects.get(name="Ready with a curve").request_id)
    for body in (json.dumps({"status": "AVAILABLE", "request_id": known}), '{"event": "hello"}', "no JSON"):
        webhooks.accept(door, body.encode())
    webhooks.turn_away(door)
    Delivery.objects.filter(event="hello").update(
        digested=now(), result="listed", outcome="No job of ours is named"
    )
    Delivery.objects.filter(event="").update(digested=now(), result="not_asked", outcome="No call to spare")
    looked_up = {"digested": now(), "result": "looked_up", "outcome": "Looked up: Ready"}
    Delivery.objects.create(
        size=80, event="finetune.available", request_id=known, message_hash="0" * 64, **looked_up
    )
    self_test.start(actor=ada)
    assert self_test.run_next()


def make_tokens(people: dict[str, Any], facts: dict[str, Any]) -> None:
    """One alive, one revoked, one that has expired, one of a person who left."""
    rights = ["train", "publish", "download"]
    alice = people["alice"]
    made = {
        name: gateway.new_token(owner=owner, name=name, rights=rights, days=days)
        for name, owner, days in (
            ("nightly", alice, None),
            ("revoked", alice, 90),
            ("expired", alice, 7),
            ("left", people["frank"], 90),
        )
    }
    gateway.note_use(made["nightly"][0])
    gateway.revoke(made["revoked"][0], actor=alice)
    AccessToken.objects.filter(name="expired").update(expires=now() - timedelta(days=1))
    facts["tokens"] = {name: text for name, (_, text) in made.items()}


def make_table_things(people: dict[str, Any], facts: dict[str, Any]) -> None:

    alice, ada = people["alice"], people["ada"]
    desk.keep_view(alice, name="My ready ones", query="mine=on&group=ready")
    desk.keep_view(ada, name="Failed", query="group=failed")
    desk.keep_preset(alice, "House style", learning_rate=0.0002, steps=750)
    limits.change(actor=ada, per_person_day=50, per_team_month=500, only_admins_publish=True)
    job = Job.objects.get(name="Ready with a curve")
    note = "The moon is right at last.\nKeep this one."
    desk.describe(job, name=job.name, note_text=note, tags="night, moon", actor=alice)
    desk.archive(Job.objects.filter(name="Archived"), actor=alice)


def make_the_rest(people: dict[str, Any]) -> None:
    """What the portal writes by itself: a wrong password, signs of life, an old line of the record."""
    stranger = Client(headers={"user-agent": BROWSER})
    with contextlib.suppress(Exception):
        stranger.post("/login/", {"username": "charlie@example.com", "password": "for tests only: wrong"})
    Heartbeat.objects.bulk_create([Heartbeat(lane=lane.name) for lane in LANES])
    detail = {"before": "viewer", "after": "maker", "token": "nightly"}
    AuditEvent.objects.create(
        at=now() - ANCIENT,
        actor=people["ada"],
        action="account.role",
        thing=f"user {people['frank'].pk}",
        detail=detail,
        address="2001:db8::7",
        request_id="0123456789abcdef",
    )


def audit_lines() -> list[list[Any]]:

    return [
        [
            row.pk,
            f"{row.at:%Y-%m-%d %H:%M:%S}",
            f"{row.actor.name} <{row.actor.email}>" if row.actor else "the portal",
            row.action,
            row.thing,
            row.detail,
            row.address,
            row.request_id,
        ]
        for row in AuditEvent.objects.select_related("actor").order_by("pk")
    ]
