"""Every changing URL leaves its line in the record: what was done, by whom, from where, before and after.

The table is complete by that of test_access.py: a new changing URL without a line here fails. Each action is
done for real, with what a person would send, and against a provider on a socket.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from allauth.usersessions.models import UserSession
from django.http import HttpResponse
from django.test import Client

from finetune_portal.accounts import services
from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.gateway.services import new_token
from finetune_portal.jobs.models import Job
from finetune_portal.playground.models import Generation
from tests.gateway.api_client import submit_body
from tests.people import PASSWORD, form_data, just_signed_in, person, waits_for_approval
from tests.provider import PICTURE, ScriptedProvider
from tests.test_access import READ, address, route_values, table
from tests.worker.driving import point_at

__all__ = ["route_values"]

SECRET = "GEZDGNBVGY3TQOJQ"  # of the authenticator app among the things
TUS = {"Tus-Resumable": "1.0.0", "Upload-Length": "9", "Upload-Metadata": "filename YS56aXA="}
ANOTHER = "a brand new battery"
DATA_URI = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"

# What a person sends, or how the scene below does it; then what the record says of it.
CHANGES: dict[str, tuple[Any, str]] = {
    "jobs:bulk": (lambda s: s.archives(), "job.archive"),
    "jobs:undo-archive": (lambda s: s.archives() and s.post("jobs:undo-archive"), "job.unarchive"),
    "jobs:save-view": ({"name": "mine too", "query": "mine=on"}, "view.keep"),
    "jobs:rename-view": ({"name": "mine again"}, "view.rename"),
    "jobs:delete-view": ({}, "view.drop"),
    "jobs:save-preset": ({"preset_name": "p2", "learning_rate": "0.0001", "steps": "9"}, "preset.keep"),
    "jobs:delete-preset": ({}, "preset.drop"),
    "jobs:new": (lambda s: s.post("jobs:new", form_data(s.dataset)), "job.start"),
    "jobs:limits": ({"per_person_day": "5", "per_team_month": ""}, "limit.per_person_day"),
    "jobs:set-public": ({"public": "on"}, "job.public"),
    "jobs:set-best": (lambda s: s.is_of_a_sweep() and s.post("jobs:set-best", {"best": "on"}), "job.best"),
    "jobs:describe": ({"name": "Another", "note_text": "", "tags": ""}, "job.name"),
    "jobs:project": (lambda s: s.post("jobs:project", {"project": s.project}), "job.project"),
    "datasets:project": (lambda s: s.post("datasets:project", {"project": s.project}), "dataset.project"),
    "jobs:cancel": (lambda s: s.trains() and s.post("jobs:cancel"), "job.cancel"),
    "jobs:withdraw": (lambda s: s.in_state("queued") and s.post("jobs:withdraw"), "job.withdraw"),
    "jobs:connection": (lambda s: s.moves(), "job.connection"),
    "jobs:decide": (lambda s: s.decides(), "job.close"),
    "jobs:approve": (lambda s: s.is_over_budget() and s.post("jobs:approve"), "job.approve"),
    "jobs:decline": (
        lambda s: s.is_over_budget() and s.post("jobs:decline", {"reason": "Not now"}),
        "job.decline",
    ),
    "costs:budgets": ({"amount": "12.50", "currency": "credits", "action": "ask"}, "budget.set"),
    "costs:change-budget": ({"amount": "12.50", "action": "ask"}, "budget.set"),
    "costs:remove-budget": ({}, "budget.remove"),
    "datasets:add-sample": ({}, "dataset.upload"),
    "datasets:add-url": ({"source_url": "https://example.com/a.zip"}, "dataset.url"),
    "datasets:captions": ({"for_all": "turn it to night"}, "dataset.version"),
    "datasets:repair": (lambda s: s.repairs(), "dataset.version"),
    "datasets:rename": ({"name": "Another"}, "dataset.rename"),
    "datasets:delete": ({}, "dataset.delete"),
    "datasets:transfer-again": ({}, "dataset.hand_over"),
    "deletion:job": (lambda s: s.in_state("failed") and s.post("deletion:job"), "job.delete-all"),
    "deletion:model": (lambda s: s.in_state("ready") and s.post("deletion:model"), "job.delete-model"),
    "deletion:jobs": (
        lambda s: s.in_state("failed") and s.post("deletion:jobs", {"job": s.job.pk}),
        "job.delete-all",
    ),
    "deletion:dataset": (lambda s: s.in_state("failed") and s.post("deletion:dataset"), "dataset.delete-all"),
    "deletion:project": (lambda s: s.in_state("failed") and s.post("deletion:project"), "project.delete-all"),
    "datasets:begin-upload": (lambda s: s.post("datasets:begin-upload", headers=TUS), "dataset.upload"),
    "datasets:upload": (lambda s: s.client.delete(s.url("datasets:upload"), headers=TUS), "dataset.drop"),
    "accounts:login": (lambda s: s.signs_in("accounts:login"), "session.began"),
    "account_login": (lambda s: s.signs_in("account_login"), "session.began"),
    "accounts:setup": (lambda s: s.accepts(), "account.created"),
    "accounts:new-password": (lambda s: s.takes_a_new_password(), "account.password"),
    "accounts:profile": ({"name": "Alice B."}, "account.name"),
    "accounts:password": ({"current": PASSWORD, "password": ANOTHER}, "account.password"),
    "accounts:end-others": ({}, "session.ended"),
    "accounts:end-session": (lambda s: s.ends_another(), "session.ended"),
    "accounts:invite": ({"role": "maker"}, "invitation.made"),
    "accounts:revoke": ({}, "invitation.revoked"),
    "accounts:role": ({"role": "maker"}, "account.role"),
    "accounts:active": ({}, "account.deactivated"),
    "accounts:unlock": ({}, "account.unlocked"),
    "accounts:password-link": ({}, "account.password_link"),
    "accounts:remove-second-factor": ({}, "second_factor.reset"),
    "accounts:logout": ({}, "session.ended"),
    "account_reauthenticate": ({"password": PASSWORD}, "session.confirmed"),
    "mfa_authenticate": (lambda s: s.signs_in("accounts:login", code=s.code), "session.began"),
    "mfa_reauthenticate": (lambda s: s.post("mfa_reauthenticate", {"code": s.code}), "session.confirmed"),
    "mfa_activate_totp": (lambda s: s.adds_an_app(), "second_factor.added"),
    "mfa_deactivate_totp": ({}, "second_factor.removed"),
    "mfa_remove_webauthn": (lambda s: s.removes_a_key(), "second_factor.removed"),
    "mfa_generate_recovery_codes": ({}, "second_factor.added"),
    "registry:links": (lambda s: s.post("registry:links", {"job": s.job.pk}), "job.download"),
    "registry:copy": ({}, "job.copy-file"),
    "registry:copy-all": ({}, "job.copy-all-files"),
    "playground:panel": (lambda s: s.tries("playground:panel"), "model.run"),
    "playground:compare": (lambda s: s.tries("playground:compare"), "model.run"),
    "playground:without-lora": (lambda s: s.tries("playground:without-lora"), "model.run"),
    "playground:run-again": (lambda s: s.tries_again(), "model.run-again"),
    "playground:delete": ({}, "model.forget-run"),
    "projects:add": ({"name": "Winter"}, "project.add"),
    "projects:rename": ({"name": "Winter"}, "project.rename"),
    "projects:make-private": ({}, "project.private"),
    "projects:make-open": (
        lambda s: s.post("projects:make-private") and s.post("projects:make-open"),
        "project.open",
    ),
    "projects:add-member": (lambda s: s.adds_a_member(), "project.member-added"),
    "projects:remove-member": ({}, "project.member-removed"),
    "connections:add": (lambda s: s.post("connections:add", s.account("b")), "connection.test"),
    "connections:test": ({}, "connection.test"),
    "connections:try-now": (lambda s: s.closes() and s.post("connections:try-now"), "connection.try"),
    "connections:key": ({"key": "sk-another-key"}, "connection.key"),
    "connections:admin-key": (lambda s: s.sets_an_admin_key(), "connection.admin-key"),
    "connections:rename": ({"name": "Another"}, "connection.rename"),
    "connections:default": ({}, "connection.default"),
    "connections:switch": ({}, "connection.off"),
    "notifications:add": ({"address": "alice@example.com"}, "notice.add"),
    "notifications:test": ({}, "notice.test"),
    "notifications:switch": ({"event": "ready"}, "notice.switch"),
    "notifications:remove": ({}, "notice.remove"),
    "webhooks:rotate": ({}, "webhook.rotate"),
    "webhooks:test": ({}, "webhook.test"),
    "gateway:tokens": ({"name": "nightly", "days": "30"}, "token.make"),
    "gateway:revoke": ({}, "token.revoke"),
    "gateway:submit": (lambda s: s.submits(), "job.start"),
    "gateway:access-update": (lambda s: s.publishes(), "job.public"),
    "gateway:run": (lambda s: s.runs("gateway:run"), "model.run"),
    "gateway:run-submit": (lambda s: s.runs("gateway:run-submit"), "model.run"),
    "gateway:upload-asset": (
        lambda s: s.call("gateway:upload-asset", "POST", {"data_urls": [DATA_URI]}),
        "picture.upload",
    ),
    # What goes out has its line, too, though it is asked for by GET.
    "registry:download": (lambda s: s.client.get(s.url("registry:download")), "job.download"),
    "gateway:download": (lambda s: s.fetches(), "job.download"),
    "audit:csv": (lambda s: s.client.get(s.url("audit:csv")), "audit.export"),
}
ELSEWHERE = {
    "accounts:oidc": "leads to the provider; what comes of it is in tests/accounts/test_single_sign_on.py",
    "accounts:forgot": "needs a mail server: tests/accounts/test_forgotten_password.py",
    "mfa_add_webauthn": "needs a browser: tests/e2e/test_security_key.py",
    "mfa_reauthenticate_webauthn": "needs a browser: tests/e2e/test_security_key.py",
    "notifications:confirm": "by whoever reads the mailbox: tests/notifications/test_confirmation.py",
    "notifications:history": "what a person has read, and nothing else",
    "webhooks:receive": "a delivery has a row of its own, and changes nothing else",
    "webhooks:receive-signed": "the same",
    "csp-report": "a line in the log",
    "look": "a cookie of this browser, and nothing else",
    "jobs:display": "the same",
    "datasets:code-page": "a guess about bytes, asked for by POST since they are many",
}


@dataclass
class Scene:
    """Alice, an admin here who signed in just now, and her things."""

    route_values: dict[str, str]
    alice: User
    provider: ScriptedProvider
    client: Client
    job: Job
    dataset: Dataset

    def url(self, name: str) -> str:
        return address(name, self.route_values)

    def post(self, name: str, fields: Any = None, **options: Any) -> HttpResponse:
        return self.client.post(self.url(name), fields or {}, **options)

    def trains(self) -> int:
        """Where the provider can cancel."""
        connections.built_in()
        Connection.objects.update(capabilities=["progress", "cancel"])
        return self.in_state("training")

    def in_state(self, state: str) -> int:
        return Job.objects.filter(pk=self.job.pk).update(state=state)

    def is_of_a_sweep(self) -> int:
        return Job.objects.filter(pk=self.job.pk).update(state="ready", sweep=uuid.uuid4())

    @property
    def code(self) -> str:
        return code_of(SECRET)

    def archives(self) -> HttpResponse:
        return self.post("jobs:bulk", {"job": self.job.pk, "action": "archive"})

    def closes(self) -> int:
        return Connection.objects.update(is_training_closed=True)

    def sets_an_admin_key(self) -> HttpResponse:
        pk = self.route_values["settings/connections"]
        Connection.objects.filter(pk=pk).update(kind="own", provider="fal")
        return self.post("connections:admin-key", {"admin_key": "an-admin-key"})

    @property
    def project(self) -> str:
        return self.route_values["settings/projects"]

    def adds_a_member(self) -> HttpResponse:
        return self.post("projects:add-member", {"person": person("frank", "viewer").pk})

    def moves(self) -> HttpResponse:
        self.in_state("queued")
        return self.post("jobs:connection", {"connection": self.route_values["settings/connections"]})

    def is_over_budget(self) -> bool:
        waits_for_approval(self.job)
        return True

    def decides(self) -> HttpResponse:
        self.in_state("needs_decision")
        return self.post("jobs:decide", {"decision": "close"})

    def repairs(self) -> HttpResponse:
        self.dataset.verdict["repairs"] = [{"code": "png", "sentence": "It becomes a PNG."}]
        self.dataset.save()
        return self.post("datasets:repair")

    def signs_in(self, name: str, code: str = "") -> HttpResponse:
        """Alice has a second factor; a colleague comes in by the password alone."""
        email = self.alice.email if code else person("frank", "viewer").email
        self.client = Client()
        answer = self.post(name, {"username": email, "password": PASSWORD})
        return self.post("mfa_authenticate", {"code": code}) if code else answer

    def ends_another(self) -> HttpResponse:
        other = just_signed_in(person("frank", "viewer"))
        row = UserSession.objects.latest("pk")
        UserSession.objects.filter(pk=row.pk).update(user=self.alice)
        self.route_values["profile/sessions"] = str(row.pk)
        answer = self.post("accounts:end-session")
        assert other.get("/").status_code == 302
        return answer

    def accepts(self) -> HttpResponse:
        self.route_values["token"] = services.invite("maker", email="", actor=self.alice).split("/")[-2]
        fields = {"name": "Grace", "email": "grace@example.com", "password": ANOTHER}
        answer = Client().post(self.url("accounts:setup"), fields)
        AuditEvent.objects.latest("pk").delete()  # that Grace is in at once
        return answer

    def takes_a_new_password(self) -> HttpResponse:
        self.client = Client()
        self.alice.refresh_from_db()  # a link works until its person signs in
        link = services.password_link(self.alice, actor=self.alice)
        form = self.client.get(link.partition("8000")[2]).headers["Location"]
        return self.client.post(form, {"password": ANOTHER})

    def adds_an_app(self) -> HttpResponse:
        self.client = just_signed_in(person("frank", "viewer"))
        page = self.client.get(self.url("mfa_activate_totp")).content.decode()
        secret = re.search(r"<code>([A-Z2-7]{32})</code>", page)
        assert secret
        answer = self.post("mfa_activate_totp", {"code": code_of(secret[1])})
        AuditEvent.objects.latest("pk").delete()  # the recovery codes that come with it
        return answer

    def removes_a_key(self) -> HttpResponse:
        fields = {"name": "Key 1", "credential": {}}
        key = Authenticator.objects.create(user=self.alice, type="webauthn", data=fields)
        self.route_values["profile/second-factor/keys"] = str(key.pk)
        return self.post("mfa_remove_webauthn")

    def account(self, name: str) -> dict[str, str]:
        return {"name": name, "provider": self.provider.url, "key": self.provider.key}

    def call(self, name: str, method: str, fields: dict[str, Any]) -> HttpResponse:
        token = new_token(owner=self.alice, name="t", rights=["train", "publish", "download", "run"], days=1)[
            1
        ]
        headers = {"x-api-key": token}
        body = json.dumps(fields)
        return Client().generic(method, self.url(name), body, "application/json", headers=headers)

    def can_run(self) -> None:
        connections.built_in()
        Connection.objects.update(capabilities=["run"])
        Job.objects.filter(pk=self.job.pk).update(slug="night")

    def tries(self, name: str) -> HttpResponse:
        self.can_run()
        fields = {"form_key": uuid.uuid4(), "picture": "pair-0", "job": self.job.pk}
        numbers = {"strength": 1, "seed": 7, "steps": 28, "guidance": 2.5}
        return self.post(name, {"prompt": "night", **fields, **numbers})

    def tries_again(self) -> HttpResponse:
        Generation.objects.filter(pk=self.route_values["try/runs"]).update(state=Generation.State.FAILED)
        return self.tries("playground:run-again")

    def submits(self) -> HttpResponse:
        return self.call("gateway:submit", "POST", submit_body("https://example.com/a.zip"))

    def publishes(self) -> HttpResponse:
        fields = {"request_id": str(self.job.form_key), "segmind_public": "True"}
        return self.call("gateway:access-update", "PUT", fields)

    def runs(self, name: str) -> HttpResponse:
        self.can_run()
        self.route_values["slug"] = "night"
        return self.call(name, "POST", {"prompt": "night", "input_image": DATA_URI})

    def fetches(self) -> HttpResponse:
        return self.call("gateway:download", "GET", {"cloud_storage_url": self.job.cloud_storage_url})


def code_of(secret: str) -> str:
    """The code of this moment, which is good for a while: the counters go from the last to the next."""
    _, counter, _ = yield_hotp_counters_from_time()
    return str(format_hotp_value(hotp_value(secret, counter)))


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture
def scene(route_values: dict[str, str], alice: User, provider: ScriptedProvider, settings: Any) -> Scene:
    point_at(settings, provider)
    settings.PROVIDER_URLS, settings.EMAIL_HOST = [provider.url], "mail.example"
    person("dana", "admin")  # so that alice is not the last one
    User.objects.filter(pk=alice.pk).update(role="admin")
    there = provider.adds("night")
    there.status = "AVAILABLE"
    jobs = Job.objects.filter(pk=route_values["jobs"])
    jobs.update(request_id=there.id, cloud_storage_url=there.cloud_storage_url)
    own = connections.add(name="a", base_url=provider.url, key=provider.key, actor=alice)
    route_values["settings/connections"] = str(own.pk)
    client = Client()
    client.post("/login/", {"username": alice.email, "password": PASSWORD})
    client.post("/login/second-factor/", {"code": recovery_code(alice)})
    AuditEvent.objects.all().delete()
    return Scene(
        route_values, alice, provider, client, jobs.get(), Dataset.objects.get(pk=route_values["datasets"])
    )


def recovery_code(user: User) -> str:
    codes = RecoveryCodes(Authenticator.objects.get(user=user, type="recovery_codes"))
    return str(codes.get_unused_codes()[0])


def test_every_changing_url_has_its_line() -> None:
    changing = {line.name for line in table() if line.method not in READ}
    files = {"registry:download", "gateway:download", "audit:csv"}
    assert changing | files == CHANGES.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize("name", CHANGES)
def test_it_is_in_the_record(name: str, scene: Scene) -> None:
    change, action = CHANGES[name]
    if callable(change):
        change(scene)
    else:
        scene.post(name, change)
    event = AuditEvent.objects.latest("pk")
    assert event.action == action
    assert event.actor
    assert event.address == "127.0.0.1"
    assert event.request_id
