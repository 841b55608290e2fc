"""A request that fails says so on its page and keeps what was typed: by every control that changes things."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt
from django.conf import settings
from django.test import Client
from django.urls import resolve
from django.utils.timezone import now
from playwright.sync_api import Page, Route, expect

from finetune_portal.accounts.models import User
from finetune_portal.accounts.session_store import key_of
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job, SavedView, Training
from finetune_portal.notifications.models import HistoryEntry
from finetune_portal.playground.models import Generation
from finetune_portal.projects.models import Project
from finetune_portal.web.busy import SENTENCE
from tests.e2e.conftest import Visitor, just_entered
from tests.people import PASSWORD, make_dataset, make_generation, make_job, person, waits_for_approval
from tests.test_access import READ, table, things_of
from tests.test_every_change import recovery_code
from tests.web_server import WebServer, session_of

pytestmark = [pytest.mark.browser, pytest.mark.long]

NO_CONTROL = {
    "accounts:login": "sent by the browser, which shows its own page: nothing but credentials is typed",
    "accounts:setup": "as accounts:login",
    "mfa_authenticate": "as accounts:login",
    "accounts:oidc": "leads to another site, so the browser itself sends it; nothing is typed there",
    "account_login": "a second name of accounts:login",
    "csp-report": "sent by the browser itself",
    "webhooks:receive": "called by the provider",
    "webhooks:receive-signed": "called by the provider",
    "gateway:submit": "called by scripts",
    "gateway:access-update": "called by scripts",
    "gateway:run": "called by scripts",
    "gateway:run-submit": "called by scripts",
    "gateway:upload-asset": "called by scripts",
    "datasets:begin-upload": "sent by the drop zone: tests/e2e/test_drop.py",
    "datasets:upload": "sent by the drop zone: tests/e2e/test_drop.py",
    "accounts:forgot": "there only with a mail server",
    "datasets:add-sample": "there only while there is no job: tests/e2e/test_datasets.py",
    "accounts:new-password": "there only behind a link",
    "notifications:confirm": "there only behind a link",
    "datasets:code-page": "asked by a script while a ZIP is read, and changes nothing",
    "mfa_reauthenticate_webauthn": "needs a security key: tests/e2e/test_security_key.py",
    "mfa_remove_webauthn": "needs a security key: tests/e2e/test_security_key.py",
}
ERROR_PAGE = "<!doctype html><html><body><main><p data-error-text>{}</p></main></body></html>"
FROM_PORTAL = {"X-Request-ID": "0123456789abcdef"}
REFUSED = "Only the person who made this can do that."


@dataclass(frozen=True)
class Failure:
    sentence: str
    answer: dict[str, Any] | None = None  # none: there is no network


FAILURES = (
    Failure("You are offline."),
    Failure("The portal cannot be reached (502).", {"status": 502, "body": "<h1>502 Bad Gateway</h1>"}),
    Failure(REFUSED, {"status": 403, "body": ERROR_PAGE.format(REFUSED), "headers": FROM_PORTAL}),
    Failure(SENTENCE, {"status": 503, "body": ERROR_PAGE.format(SENTENCE), "headers": FROM_PORTAL}),
)

# The controls of the page, by their addresses: forms, and buttons that send to an address of their own.
CONTROLS = """Object.fromEntries(
    [...document.querySelectorAll("form[method=post]:not(#action-form), [formaction]")].map((element) => {
        const action = element.getAttribute("formaction") ?? element.getAttribute("action") ?? "";
        return [new URL(action, location.href).pathname, element];
    }))"""
FIELDS = "input:not([type=hidden], [type=file]), textarea, select"
TYPED = f"""[...document.querySelectorAll("{FIELDS}")].map(
    ({{ name, type, value, checked }}) => [name, ["checkbox", "radio"].includes(type) ? checked : value])"""
# Fills what can be filled, sends it as a click would, and tells what is typed then.
SEND = """(address) => {
    const element = CONTROLS[address];
    const form = element.form ?? element;
    for (const field of form.elements) {
        const isEmail = field.type === "email";
        if (isEmail || ["text", "password", "url", "textarea"].includes(field.type))
            field.value = isEmail ? "typed@example.com" : `typed ${field.name}`.slice(0, 20);
    }
    form.noValidate = true;
    const isOwn = ({ type, attributes }) => type === "submit" && !attributes.formaction;
    if (element === form) form.requestSubmit([...form.elements].find(isOwn));
    else element.click();
    const dialog = document.getElementById("confirm");
    if (dialog.open) dialog.querySelector("[data-confirm-button]").click();
    return TYPED;
}""".replace("CONTROLS", CONTROLS).replace("TYPED", TYPED)
# What is typed, whether the message has the focus, and its button.
SEEN = """() => {
    const alert = document.querySelector("#failures [role=alert]");
    const button = [...alert.querySelectorAll("button")].find((each) => each.checkVisibility());
    return [TYPED, document.activeElement === alert, button.textContent.trim()];
}""".replace("TYPED", TYPED)


def fresh_session(user: User) -> str:
    """The session of somebody who has just proved who they are, by a second factor, too."""
    client = Client()
    client.post("/login/", {"username": user.email, "password": PASSWORD})
    client.post("/login/second-factor/", {"code": recovery_code(user)})
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def places(values: dict[str, str], admin: User) -> list[str]:
    """Pages on which each changing URL has its control, and the rows that show it."""
    dataset = Dataset.objects.get(pk=values["datasets"])
    broken = make_dataset(admin)
    broken.verdict["repairs"] = [{"code": "png", "sentence": "It becomes a PNG."}]
    broken.save()
    Connection.objects.update(capabilities=["progress", "cancel", "run"])
    connections.add(name="b", base_url="https://api.segmind.com", key="sk-a-key", actor=admin)
    connections.add(name="d", provider="fal", key="two:parts", actor=admin)
    Job.objects.filter(pk=values["jobs"]).update(slug="night", cloud_storage_url="https://s.example/m")
    closed = connections.add(name="c", base_url="https://api.segmind.com", key="sk-c", actor=admin)
    Connection.objects.filter(pk=closed.pk).update(is_training_closed=True, closed_at=now())
    jobs = [make_job(admin, state, dataset=dataset) for state in ("waiting", "needs_decision")]
    jobs.append(make_job(admin, "queued", dataset=dataset, connection=closed))
    jobs.append(make_job(admin, "training", dataset=dataset, request_id="r-2"))
    Training.objects.create(job=jobs[-1])
    jobs.append(waits_for_approval(make_job(admin, dataset=dataset, connection=closed)))
    SavedView.objects.filter(pk=values["views"]).update(query="mine=on")
    made = {"request_id": "r-3", "slug": "day", "cloud_storage_url": "x", "sweep": uuid4()}
    ready = make_job(admin, "ready", dataset=dataset, **made)
    erin = User.objects.get(pk=values["team"])
    TOTP.activate(erin, "GEZDGNBVGY3TQOJQ")
    AccessAttempt.objects.create(username=erin.email, ip_address="127.0.0.1", failures_since_start=9)
    other = {"ip": "127.0.0.1", "user_agent": "Firefox"}
    UserSession.objects.create(user=admin, session_key=key_of(session_of(admin)), **other)
    private = Project.objects.create(name="Closed", folded_name="closed", is_private=True)
    HistoryEntry.objects.create(person=admin, job=ready, event="ready")
    own = [f"/jobs/{job.pk}/" for job in jobs]
    make_generation(ready)
    Generation.objects.filter(job=ready).update(state="failed")
    compare = f"/try/?job={values['jobs']}&job={ready.pk}"
    return [
        *(
            *("/", "/?mine=on", "/?public=off"),
            "/jobs/new/",
            "/settings/limits/",
            "/settings/budgets/",
            "/settings/models/",
            f"/jobs/{values['jobs']}/",
            *own,
            f"/jobs/{ready.pk}/",
            f"/jobs/delete/?job={values['jobs']}",
            compare,
        ),
        *(f"/datasets/{values['datasets']}/", f"/datasets/{values['datasets']}/captions/"),
        *(f"/datasets/{broken.pk}/", "/profile/", "/profile/password/", "/team/", "/settings/"),
        *("/settings/notices/", "/settings/webhooks/", "/settings/models/", "/tokens/", "/profile/confirm/"),
        "/notifications/",
        *("/settings/projects/", f"/settings/projects/{values['settings/projects']}/"),
        f"/settings/projects/{private.pk}/",
        *("/profile/second-factor/app/remove/", "/profile/second-factor/codes/new/"),
        *("/profile/second-factor/keys/add/", "/profile/confirm/code/"),
    ]


@pytest.mark.parametrize("count", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_every_control_says_what_failed(count: int, visitor: Visitor, web: WebServer, admin: User) -> None:
    """Offline, a proxy's 502, a refusal and a busy database, at each URL that changes something.

    In `make test-long` each control fails in one of the four ways, in turn: test_failed_start.py and others
    here look at each failure more closely.
    """
    values = things_of(admin)
    wanted = {line.name for line in table() if line.method not in READ} - NO_CONTROL.keys()
    walked = {"jobs:undo-archive"}
    page = visitor(web.url, fresh_session(admin))
    newcomer = visitor(web.url, just_entered(person("frank", User.Role.VIEWER)))
    archive_one(page)
    fail_each_way(page, "/jobs/bulk/undo/", FAILURES)
    for who, paths in (
        (page, places(values, admin)),
        (newcomer, ["/profile/second-factor/app/"]),
    ):
        for path in paths:
            who.goto(path)
            for action in who.evaluate(f"Object.keys({CONTROLS})"):
                name = resolve(action).view_name
                if name in wanted - walked:
                    fail_each_way(who, action, FAILURES[len(walked) % (4 // count) :: 4 // count])
                    walked.add(name)
    assert walked == wanted, sorted(wanted - walked)


def archive_one(page: Page) -> None:
    page.goto("/")
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()


def fail_each_way(page: Page, action: str, failures: tuple[Failure, ...]) -> None:
    alert = page.locator("#failures [role=alert]")

    def fail(route: Route) -> None:
        if route.request.method == "GET":
            route.continue_()
        elif failure.answer is None:
            route.abort("internetdisconnected")
        else:
            route.fulfill(content_type="text/html; charset=utf-8", **failure.answer)

    page.route(f"**{action}", fail)
    for failure in failures:
        if failure.answer is None:
            page.context.set_offline(True)
        typed = page.evaluate(SEND, action)
        expect(alert).to_contain_text(failure.sentence)
        assert page.evaluate(SEEN) == [typed, True, "Try again"], (action, failure.sentence)
        page.keyboard.press("Escape")
        expect(alert).to_have_count(0)
        if failure.answer is None:
            page.context.set_offline(False)
    page.unroute(f"**{action}")
