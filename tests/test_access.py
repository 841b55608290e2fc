"""Who may call what: every URL of the URLconf, by everyone, with every method that it takes.

The table is complete by introspection: a new URL without a line here fails. A line has the method, and
what anonymous, a viewer, alice (who made the things), bob (another maker) and an admin get:
`in` is sent to the login page, `ok` gets through to the action or its form, `no` is 403, `404` finds nothing,
`key` is 401: a session opens no call of the API. All other methods are refused. What the personal token of
each opens is in test_access_by_token.py.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.timezone import now

from finetune_portal.accounts.models import Invitation, User
from finetune_portal.connections import services as connections
from finetune_portal.costs.models import Budget
from finetune_portal.gateway.services import new_token
from finetune_portal.jobs.models import Preset, SavedView
from finetune_portal.notifications.models import Channel
from finetune_portal.projects.models import Member, Project
from finetune_portal.web.encryption import encrypt
from tests.people import make_dataset, make_generation, make_job, make_samples, person, signed_in

WHO = ("anonymous", "viewer", "alice", "bob", "admin")
READ, CHANGE = ("GET", "HEAD"), ("POST",)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

# Who gets through: anonymous, viewer, alice, bob, admin.
EVERYONE = "ok ok ok ok ok"
TEAM = "in ok ok ok ok"
MAKERS = "in no ok ok ok"
OWNER = "in no ok no ok"
ADMINS = "in no no no ok"
NOBODY = "key key key key key"
NOTHING = "404 404 404 404 404"

TABLE = """
    jobs:list               GET     TEAM
    jobs:table              GET     TEAM
    jobs:display            POST    TEAM
    jobs:bulk               POST    TEAM
    jobs:undo-archive       POST    TEAM
    jobs:compare            GET     TEAM
    jobs:compared           GET     TEAM
    jobs:save-view          POST    TEAM
    jobs:rename-view        POST    in 404 ok 404 404
    jobs:delete-view        POST    in 404 ok 404 404
    jobs:save-preset        POST    MAKERS
    jobs:delete-preset      POST    OWNER
    jobs:new                GET     MAKERS
    jobs:new                POST    MAKERS
    jobs:parameters         GET     MAKERS
    jobs:price              GET     MAKERS
    jobs:palette            GET     TEAM
    jobs:limits             GET     ADMINS
    jobs:limits             POST    ADMINS
    jobs:detail             GET     TEAM
    jobs:state              GET     TEAM
    jobs:set-public         POST    OWNER
    jobs:set-best           POST    OWNER
    jobs:describe           POST    OWNER
    jobs:project            POST    OWNER
    jobs:cancel             POST    OWNER
    jobs:sample             GET     TEAM
    jobs:sample-preview     GET     TEAM
    jobs:withdraw           POST    OWNER
    jobs:connection         POST    OWNER
    jobs:decide             POST    ADMINS
    jobs:approve            POST    ADMINS
    jobs:decline            POST    ADMINS
    registry:links          POST    TEAM
    registry:download       GET     TEAM
    registry:file           GET     no no no no no
    registry:copy           POST    MAKERS
    registry:page           GET     ADMINS
    registry:copy-all       POST    ADMINS
    playground:panel        GET     TEAM
    playground:panel        POST    MAKERS
    playground:compare      GET     TEAM
    playground:compare      POST    MAKERS
    playground:input        GET     TEAM
    playground:generation   GET     TEAM
    playground:picture      GET     TEAM
    playground:result       GET     TEAM
    playground:without-lora POST    MAKERS
    playground:run-again    POST    OWNER
    playground:delete       POST    OWNER
    datasets:list           GET     TEAM
    datasets:sample         GET     TEAM
    datasets:add-sample     POST    MAKERS
    datasets:duplicate      GET     TEAM
    datasets:code-page      POST    MAKERS
    datasets:add-url        POST    MAKERS
    datasets:detail         GET     TEAM
    datasets:status         GET     TEAM
    datasets:pair           GET     TEAM
    datasets:picture        GET     TEAM
    datasets:captions       GET     MAKERS
    datasets:captions       POST    MAKERS
    datasets:repair         POST    MAKERS
    datasets:rename         POST    OWNER
    datasets:project        POST    OWNER
    datasets:delete         POST    OWNER
    datasets:transfer-again POST    MAKERS
    datasets:begin-upload   POST    MAKERS
    datasets:upload         HEAD    key no ok 404 404
    datasets:upload         DELETE  key no ok 404 404
    deletion:job            POST    OWNER
    deletion:model          POST    OWNER
    deletion:jobs           GET     MAKERS
    deletion:jobs           POST    MAKERS
    deletion:dataset        POST    OWNER
    deletion:project        POST    ADMINS
    accounts:login          GET     EVERYONE
    accounts:login          POST    EVERYONE
    accounts:setup          GET     EVERYONE
    accounts:setup          POST    EVERYONE
    accounts:oidc           POST    NOTHING
    oidc_callback           GET     NOTHING
    accounts:forgot         GET     NOTHING
    accounts:forgot         POST    NOTHING
    accounts:new-password   GET     EVERYONE
    accounts:new-password   POST    EVERYONE
    accounts:profile        GET     TEAM
    accounts:profile        POST    TEAM
    accounts:password       GET     TEAM
    accounts:password       POST    TEAM
    accounts:end-others     POST    TEAM
    accounts:end-session    POST    in 404 ok 404 404
    accounts:team           GET     TEAM
    accounts:invite         POST    ADMINS
    accounts:revoke         POST    ADMINS
    accounts:role           POST    ADMINS
    accounts:active         POST    ADMINS
    accounts:unlock         POST    ADMINS
    accounts:password-link  POST    ADMINS
    accounts:remove-second-factor POST ADMINS
    accounts:logout         POST    TEAM
    people:person           GET     TEAM
    account_login           GET     EVERYONE
    account_login           POST    EVERYONE
    account_reauthenticate  GET     TEAM
    account_reauthenticate  POST    TEAM
    mfa_authenticate        GET     EVERYONE
    mfa_authenticate        POST    EVERYONE
    mfa_reauthenticate      GET     TEAM
    mfa_reauthenticate      POST    TEAM
    mfa_reauthenticate_webauthn GET TEAM
    mfa_reauthenticate_webauthn POST TEAM
    mfa_index               GET     TEAM
    mfa_activate_totp       GET     TEAM
    mfa_activate_totp       POST    TEAM
    mfa_deactivate_totp     GET     in 404 ok 404 404
    mfa_deactivate_totp     POST    in 404 ok 404 404
    mfa_list_webauthn       GET     TEAM
    mfa_add_webauthn        GET     TEAM
    mfa_add_webauthn        POST    TEAM
    mfa_remove_webauthn     GET     in 404 404 404 404
    mfa_remove_webauthn     POST    in 404 404 404 404
    mfa_view_recovery_codes GET     in 404 ok 404 404
    mfa_generate_recovery_codes GET TEAM
    mfa_generate_recovery_codes POST TEAM
    audit:list              GET     ADMINS
    audit:csv               GET     ADMINS
    projects:list           GET     TEAM
    projects:add            POST    ADMINS
    projects:detail         GET     TEAM
    projects:rename         POST    ADMINS
    projects:make-private   POST    ADMINS
    projects:make-open      POST    ADMINS
    projects:add-member     POST    ADMINS
    projects:remove-member  POST    ADMINS
    costs:list              GET     TEAM
    costs:csv               GET     TEAM
    costs:budgets           GET     ADMINS
    costs:budgets           POST    ADMINS
    costs:change-budget     POST    ADMINS
    costs:remove-budget     POST    ADMINS
    connections:list        GET     TEAM
    connections:add         POST    ADMINS
    connections:test        POST    ADMINS
    connections:try-now     POST    ADMINS
    connections:key         POST    ADMINS
    connections:admin-key   POST    ADMINS
    connections:rename      POST    ADMINS
    connections:default     POST    ADMINS
    connections:switch      POST    ADMINS
    notifications:history         GET     TEAM
    notifications:history         POST    TEAM
    notifications:unread          GET     TEAM
    notifications:list            GET     TEAM
    notifications:add             POST    TEAM
    notifications:confirm         GET     EVERYONE
    notifications:confirm         POST    EVERYONE
    notifications:state           GET     in 404 ok 404 404
    notifications:test            POST    in 404 ok 404 404
    notifications:switch          POST    in 404 ok 404 404
    notifications:remove          POST    in 404 ok 404 404
    webhooks:receive        POST    EVERYONE
    webhooks:receive-signed POST    EVERYONE
    webhooks:page           GET     ADMINS
    webhooks:rotate         POST    ADMINS
    webhooks:test           POST    ADMINS
    webhooks:test-state     GET     ADMINS
    webhooks:deliveries     GET     ADMINS
    webhooks:table          GET     ADMINS
    gateway:tokens          GET     TEAM
    gateway:tokens          POST    TEAM
    gateway:revoke          POST    in 404 ok 404 ok
    gateway:reference       GET     TEAM
    gateway:openapi         GET     EVERYONE
    gateway:trainers        GET     NOBODY
    gateway:submit          POST    NOBODY
    gateway:details         GET     NOBODY
    gateway:list            GET     NOBODY
    gateway:presigned-url   GET     NOBODY
    gateway:access-update   PUT     NOBODY
    gateway:download        GET     NOBODY
    gateway:balance         GET     NOBODY
    gateway:run             POST    NOBODY
    gateway:run-submit      POST    NOBODY
    gateway:run-status      GET     NOBODY
    gateway:run-result      GET     NOBODY
    gateway:run-output      GET     no no no no no
    gateway:upload-asset    POST    NOBODY
    gateway:asset           GET     NOTHING
    gateway:uploaded        GET     NOTHING
    gateway:nothing         GET     NOTHING
    gateway:nothing-v1      GET     NOTHING
    gateway:nothing-v2      GET     NOTHING
    healthz                 GET     EVERYONE
    readyz                  GET     EVERYONE
    metrics                 GET     no no no no no
    csp-report              POST    EVERYONE
    look                    POST    TEAM
"""

TUS = {"Tus-Resumable": "1.0.0"}


class Line(NamedTuple):
    name: str
    method: str
    outcomes: tuple[str, ...]


def table(text: str = TABLE) -> list[Line]:
    lines = []
    for line in text.strip().splitlines():
        name, method, *outcomes = line.split()
        if len(outcomes) == 1:
            outcomes = globals()[outcomes[0]].split()
        lines.append(Line(name, method, tuple(outcomes)))
    return lines


def urls(patterns: Any = None, before: str = "", space: str = "") -> Iterator[tuple[str, str]]:
    """Name and route of every URL there is."""
    for each in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLResolver):
            inner = ":".join(filter(None, [space, each.namespace or ""]))
            yield from urls(each.url_patterns, route, inner)
        elif isinstance(each, URLPattern):
            yield ":".join(filter(None, [space, each.name or ""])), route


ROUTES = dict(urls())


@pytest.fixture
def route_values(alice: User) -> dict[str, str]:
    return things_of(alice)


def things_of(alice: User) -> dict[str, str]:
    """What stands in the routes, all of it alice's."""
    dataset = make_dataset(alice)
    channel = Channel.objects.create(
        owner=alice, kind="email", display_address="a", encrypted_address=encrypt(alice.email)
    )
    tomorrow = now() + timedelta(days=1)
    session = UserSession.objects.create(user=alice, ip="127.0.0.1", session_key="k", user_agent="Firefox")
    TOTP.activate(alice, "GEZDGNBVGY3TQOJQ")
    RecoveryCodes.activate(alice)
    uploading = make_dataset(alice, state="receiving")
    job = make_job(alice, "ready", request_id="r-1", dataset=dataset)
    make_samples(job, "control")
    generation = make_generation(job)
    project = Project.objects.create(name="Night", folded_name="night")
    return {
        "jobs": str(job.pk),
        "sample": "control",
        "try/inputs": str(generation.input_id),
        "try/runs": str(generation.pk),
        "views": str(SavedView.objects.create(owner=alice, name="held_by", query="held_by=on").pk),
        "jobs/new/presets": str(Preset.objects.create(owner=alice, name="p", learning_rate=1e-4, steps=1).pk),
        "datasets": str(dataset.pk),
        "settings/projects": str(project.pk),
        "settings/projects/members": str(Member.objects.create(project=project, user=alice).pk),
        "settings/budgets": str(Budget.objects.create(currency="USD", amount=Decimal(5), action="warn").pk),
        "settings/connections": str(connections.built_in().pk),
        "settings/notices": str(channel.pk),
        "number": "0",
        "place": "start",
        "edge": "small",
        "filename": "pairs.zip",
        "rest": "request/delete",
        "slug": "0f-a",
        "kind": "png",
        "tokens": str(new_token(owner=alice, name="t", rights=[], days=None)[0].pk),
        "key": str(uploading.key),
        "token": "no-such-token",
        "provider": "fal",
        "uidb64": "MQ",
        "team": str(person("erin", User.Role.VIEWER).pk),
        "team/invitations": str(
            Invitation.objects.create(token_hash="h", role="viewer", invited_by=alice, expires_at=tomorrow).pk
        ),
        "profile/sessions": str(session.pk),
        "profile/second-factor/keys": "1",
    }


def address(name: str, route_values: dict[str, str]) -> str:
    route = ROUTES[name]

    def fill(match: re.Match[str]) -> str:
        piece = match[1].rpartition(":")[2]
        return route_values[route[: match.start()].strip("/")] if piece == "pk" else route_values[piece]

    return "/" + re.sub(r"<([^>]+)>", fill, route)


@pytest.fixture
def people(alice: User, bob: User, charlie: User, dana: User) -> dict[str, Client]:
    cast = {"viewer": charlie, "alice": alice, "bob": bob, "admin": dana}
    return {"anonymous": Client(), **{who: signed_in(user) for who, user in cast.items()}}


def outcome(response: HttpResponseBase) -> str:
    location = response.headers.get("Location", "")
    if response.status_code == 302 and location.startswith("/login/?next="):
        return "in"
    return {401: "key", 403: "no", 404: "404"}.get(response.status_code, "ok")


def test_every_url_has_its_lines() -> None:
    assert len(ROUTES) == len(list(urls())), "two URLs share a name"
    assert {line.name for line in table()} == set(ROUTES)


@pytest.mark.parametrize("app", sorted({line.name.partition(":")[0] for line in table()}))
def test_everyone_gets_what_the_table_says(
    app: str, route_values: dict[str, str], people: dict[str, Client]
) -> None:
    wrong = []
    for line in table():
        if line.name.partition(":")[0] == app:
            got = tuple(outcome_for(people[who], line, route_values) for who in WHO)
            expected = ("404",) * len(WHO) if line.name.startswith("webhooks:receive") else line.outcomes
            if got != expected:
                wrong.append((line.name, line.method, got, expected))
    assert wrong == []


def outcome_for(client: Client, line: Line, route_values: dict[str, str]) -> str:
    """Each finds the things as they were."""
    with transaction.atomic():
        headers = TUS if line.name == "datasets:upload" else {}
        response = client.generic(line.method, address(line.name, route_values), headers=headers)
        b"".join(response)  # to the end, which closes a file; close() would close the database, too
        transaction.set_rollback(True)
    assert response.status_code < 500 or line.name == "readyz", line  # no worker is there
    kind = response.headers.get("Content-Type", "")
    assert not kind.startswith("text/") or kind.endswith("; charset=utf-8"), line
    return outcome(response)


def test_a_method_that_is_not_in_the_table_does_nothing(
    route_values: dict[str, str], people: dict[str, Client]
) -> None:
    for name in ROUTES:
        taken = {line.method for line in table() if line.name == name}
        taken |= {"OPTIONS"} | ({"HEAD"} if "GET" in taken else set())
        for method in set(METHODS) - taken:
            answer = people["admin"].generic(method, address(name, route_values))
            is_led_on = answer.status_code == 302 and method in READ
            assert is_led_on or answer.status_code in (404, 405), (method, name)


def test_a_reload_of_an_address_that_takes_a_form_only_leads_to_a_page(
    route_values: dict[str, str], people: dict[str, Client]
) -> None:
    """To the one that holds the form, where an empty form is refused with a page."""
    wrong = []
    read = {line.name for line in table() if line.method != "POST"}
    for line in table():
        if line.name in read or line.outcomes[0] != "in":
            continue
        where = address(line.name, route_values)
        client = people[next(who for who in reversed(WHO) if line.outcomes[WHO.index(who)] == "ok")]
        with transaction.atomic():
            answer = client.post(where)
            transaction.set_rollback(True)
        page = client.get(where, follow=True)
        is_refused = answer.status_code == 422 and answer.headers["Content-Type"].startswith("text/html")
        is_refused &= line.name != "accounts:role"  # of a select: a page on which nobody typed anything
        if page.status_code != 200 or (is_refused and f'action="{where}"' not in page.content.decode()):
            wrong.append((line.name, page.redirect_chain, page.status_code, is_refused))
    assert wrong == []


def test_no_change_goes_through_without_the_forms_token(alice: User, route_values: dict[str, str]) -> None:
    """But for what is no page: the webhook and the browsers' reports. The API's calls take no session."""
    open_to_others = {"webhooks:receive", "webhooks:receive-signed", "csp-report"}
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    for line in table():
        if line.method not in READ and line.name not in open_to_others:
            status = client.generic(line.method, address(line.name, route_values)).status_code
            assert status in (401, 403, 404), line


def test_a_session_ends_with_its_person(alice: User, route_values: dict[str, str]) -> None:
    client = signed_in(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    for line in table():
        if line.outcomes[0] == "in":
            assert outcome(client.generic(line.method, address(line.name, route_values))) == "in", line


def test_it_makes_sense_of_a_route() -> None:
    assert address("jobs:withdraw", {"jobs": "7"}) == "/jobs/7/withdraw/"
    assert uuid.UUID(address("datasets:upload", {"key": str(uuid.uuid4())}).rstrip("/").rpartition("/")[2])
