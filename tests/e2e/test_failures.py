"""A request that fails says so on its page and keeps what was typed: by every control that changes things."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.urls import resolve
from django.utils.timezone import now
from playwright.sync_api import Browser, Locator, Page, Request, Route, expect

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.services import start_upload
from finetune_portal.jobs.models import Job, Training
from finetune_portal.playground.models import Generation
from finetune_portal.web.busy import SENTENCE
from tests.cookies import csrf_cookie, session_cookie
from tests.e2e.dropping import MEBIBYTE, PNG, choose_files, choose_folder, drop, five_pairs, laid_out, packed
from tests.people import PASSWORD, just_signed_in, make_dataset, make_generation, make_job, person
from tests.test_access import READ, table, things_of
from tests.test_every_change import recovery_code
from tests.waiting import PATIENCE
from tests.web_server import WebServer, session_of

pytestmark = pytest.mark.browser

NO_CONTROL = {
    "accounts:login": "sent by the browser, which shows its own page: nothing but credentials is typed",
    "accounts:setup": "as accounts:login",
    "mfa_authenticate": "as accounts:login",
    "accounts:oidc": "leads to another site, so the browser itself sends it; nothing is typed there",
    "account_login": "a second name of accounts:login",
    "csp-report": "sent by the browser itself",
    "webhooks:receive": "called by the provider",
    "gateway:submit": "called by scripts",
    "gateway:access-update": "called by scripts",
    "datasets:begin-upload": "sent by the drop zone: tests/e2e/test_drop.py",
    "datasets:upload": "sent by the drop zone: tests/e2e/test_drop.py",
    "accounts:forgot": "there only with a mail server",
    "accounts:new-password": "there only behind a link",
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
# Fills what can be filled, and sends it as a click would.
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
}""".replace("CONTROLS", CONTROLS)
FIELDS = "input:not([type=hidden], [type=file]), textarea, select"
TYPED = f"""() => [...document.querySelectorAll("{FIELDS}")].map(
    ({{ name, type, value, checked }}) => [name, ["checkbox", "radio"].includes(type) ? checked : value])"""


def open_page(browser: Browser, web: WebServer, session: str) -> Page:
    context = browser.new_context(base_url=web.url, reduced_motion="reduce", accept_downloads=True)
    context.set_default_timeout(20_000 * PATIENCE)
    context.add_cookies([{"name": session_cookie(web.url), "value": session, "url": web.url}])
    return context.new_page()


@pytest.fixture
def ada(web: WebServer, settings: Any) -> User:
    cache.clear()
    settings.PASSWORD_HASHERS = ["finetune_portal.accounts.passwords.Argon2idPasswordHasher"]
    return person("ada", User.Role.ADMIN)


def fresh_session(user: User) -> str:
    """The session of somebody who has just proved who they are, by a second factor, too."""
    client = Client()
    client.post("/login/", {"username": user.email, "password": PASSWORD})
    client.post("/login/second-factor/", {"code": recovery_code(user)})
    return str(client.session.session_key)


def places(values: dict[str, str], ada: User) -> list[str]:
    """Pages on which each changing URL has its control, and the rows that show it."""
    dataset = Dataset.objects.get(pk=values["datasets"])
    broken = make_dataset(ada)
    broken.verdict["repairs"] = [{"code": "png", "sentence": "It becomes a PNG."}]
    broken.save()
    Connection.objects.update(capabilities=["progress", "cancel", "run"])
    connections.add(name="b", base_url="https://api.segmind.com", key="sk-a-key", actor=ada)
    Job.objects.filter(pk=values["jobs"]).update(slug="night", cloud_storage_url="https://s.example/m")
    closed = connections.add(name="c", base_url="https://api.segmind.com", key="sk-c", actor=ada)
    Connection.objects.filter(pk=closed.pk).update(is_training_closed=True, closed_at=now())
    jobs = [make_job(ada, state, dataset=dataset) for state in ("waiting", "needs_decision")]
    jobs.append(make_job(ada, "queued", dataset=dataset, connection=closed))
    jobs.append(make_job(ada, "training", dataset=dataset, request_id="r-2"))
    Training.objects.create(job=jobs[-1])
    ready = make_job(ada, "ready", dataset=dataset, request_id="r-3", slug="day", cloud_storage_url="x")
    erin = User.objects.get(pk=values["team"])
    TOTP.activate(erin, "GEZDGNBVGY3TQOJQ")
    AccessAttempt.objects.create(username=erin.email, ip_address="127.0.0.1", failures_since_start=9)
    other = {"ip": "127.0.0.1", "user_agent": "Firefox"}
    UserSession.objects.create(user=ada, session_key=session_of(ada), **other)
    own = [f"/jobs/{job.pk}/" for job in jobs]
    make_generation(ready)
    Generation.objects.filter(job=ready).update(state="failed")
    compare = f"/try/?job={values['jobs']}&job={ready.pk}"
    return [
        *(
            "/",
            "/jobs/new/",
            "/settings/limits/",
            f"/jobs/{values['jobs']}/",
            *own,
            f"/jobs/{ready.pk}/",
            compare,
        ),
        *(f"/datasets/{values['datasets']}/", f"/datasets/{values['datasets']}/captions/"),
        *(f"/datasets/{broken.pk}/", "/profile/", "/profile/password/", "/team/", "/settings/"),
        *("/settings/notices/", "/settings/webhooks/", "/tokens/", "/profile/confirm/"),
        *("/profile/second-factor/app/remove/", "/profile/second-factor/codes/new/"),
        *("/profile/second-factor/keys/add/", "/profile/confirm/code/"),
    ]


def test_every_control_says_what_failed(browser: Browser, web: WebServer, ada: User) -> None:
    """Offline, a proxy's 502, a refusal and a busy database, at each URL that changes something."""
    values = things_of(ada)
    wanted = {line.name for line in table() if line.method not in READ} - NO_CONTROL.keys()
    walked = {"jobs:undo-archive"}
    page = open_page(browser, web, fresh_session(ada))
    frank = str(just_signed_in(person("frank", User.Role.VIEWER)).session.session_key)
    newcomer = open_page(browser, web, frank)
    archive_one(page)
    fail_each_way(page, "/jobs/bulk/undo/")
    for visitor, paths in (
        (page, places(values, ada)),
        (newcomer, ["/profile/second-factor/app/"]),
    ):
        for path in paths:
            visitor.goto(path)
            for action in visitor.evaluate(f"Object.keys({CONTROLS})"):
                name = resolve(action).view_name
                if name in wanted - walked:
                    fail_each_way(visitor, action)
                    walked.add(name)
        visitor.context.close()
    assert walked == wanted, sorted(wanted - walked)


def archive_one(page: Page) -> None:
    page.goto("/")
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()


def fail_each_way(page: Page, action: str) -> None:
    alert = page.locator("#failures [role=alert]")
    for failure in FAILURES:
        page.route(f"**{action}", partial(answer, failure))
        page.context.set_offline(failure.answer is None)
        page.evaluate(SEND, action)
        typed = page.evaluate(TYPED)
        expect(alert).to_contain_text(failure.sentence)
        assert page.evaluate(TYPED) == typed, (action, failure.sentence)
        expect(alert).to_be_focused()
        expect(alert.get_by_role("button", name="Try again")).to_be_visible()
        page.keyboard.press("Escape")
        expect(alert).to_have_count(0)
        page.context.set_offline(False)
        page.unroute(f"**{action}")


def answer(failure: Failure, route: Route) -> None:
    if route.request.method == "GET":
        route.continue_()
    elif failure.answer is None:
        route.abort("internetdisconnected")
    else:
        route.fulfill(content_type="text/html; charset=utf-8", **failure.answer)


# What comes of it, on one page.


@pytest.fixture
def page(browser: Browser, web: WebServer, ada: User) -> Iterator[Page]:
    page = open_page(browser, web, session_of(ada))
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    page.context.close()
    assert faults == []


KEPT = "Object.keys(sessionStorage).filter((key) => key.startsWith('typed:'))"


def fill_form(page: Page, web: WebServer, owner: User) -> None:
    dataset = make_dataset(owner)
    page.goto(f"/jobs/new/?dataset={dataset.pk}")
    page.get_by_label("Name", exact=True).fill("Day to night")
    page.get_by_label("Prompt").fill("turn day into night")
    page.get_by_label("Steps").fill("450")


def start(page: Page) -> None:
    page.get_by_role("button", name="Start job").click()


def alert(page: Page) -> Locator:
    return page.locator("#failures [role=alert]")


def test_start_says_that_nothing_was_started_and_tries_again(page: Page, web: WebServer, ada: User) -> None:
    fill_form(page, web, ada)
    page.context.set_offline(True)
    start(page)
    expect(alert(page)).to_contain_text("You are offline. Nothing was started.")
    page.context.set_offline(False)
    assert not Job.objects.exists()
    page.get_by_label("Steps").fill("500")
    alert(page).get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")
    expect(alert(page)).to_have_count(0)
    assert Job.objects.get().steps == 500, "with what was typed in the meantime"


def test_a_lost_answer_does_not_start_a_second_job(page: Page, web: WebServer, ada: User) -> None:
    """Cases 24 and 56: the portal started the job, and its answer was lost."""
    fill_form(page, web, ada)

    def lose(route: Route) -> None:
        route.fetch()
        route.fulfill(status=502, body="<h1>Bad Gateway</h1>")

    page.route("**/jobs/new/", lose)
    start(page)
    expect(alert(page)).to_contain_text("“Try again” starts nothing twice.")
    page.unroute("**/jobs/new/")
    alert(page).get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")
    assert Job.objects.count() == 1


def test_two_clicks_on_start_make_one_job(page: Page, web: WebServer, ada: User) -> None:
    """Case 56."""
    fill_form(page, web, ada)
    page.get_by_role("button", name="Start job").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("New job")
    start(page)
    expect(page.get_by_text("Enter a name for the job.")).to_be_visible()
    assert Job.objects.count() == 1


@pytest.mark.parametrize("are_cookies_gone", [True, False], ids=["cookies-gone", "session-ended"])
def test_a_session_that_ended_at_start_leads_back_to_the_form(
    page: Page, web: WebServer, ada: User, are_cookies_gone: bool
) -> None:
    fill_form(page, web, ada)
    if are_cookies_gone:
        page.context.clear_cookies()
    else:
        Session.objects.all().delete()
    start(page)
    expect(page.get_by_text("Your session ended.")).to_be_visible()
    page.get_by_label("E-mail").fill(ada.email)
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("do not belong together")).to_be_visible()
    expect(page.get_by_text("Your session ended.")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("What you typed is still here.")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Day to night")
    expect(page.get_by_label("Prompt")).to_have_value("turn day into night")
    expect(page.get_by_label("Steps")).to_have_value("450")
    assert page.evaluate(KEPT) == []
    start(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")


def test_what_one_person_typed_is_not_shown_to_another(page: Page, web: WebServer, ada: User) -> None:
    fill_form(page, web, ada)
    Session.objects.all().delete()
    start(page)
    page.get_by_label("E-mail").fill(person("bob", User.Role.MAKER).email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("New job")
    expect(page.get_by_label("Name", exact=True)).to_have_value("")
    assert page.evaluate(KEPT) == []


def test_a_secret_is_not_kept(page: Page, web: WebServer, ada: User) -> None:
    page.goto("/settings/")
    page.locator("#connection-form").get_by_label("Name").fill("second account")
    page.locator("#connection-form").get_by_label("API key").fill("SG_secret")
    Session.objects.all().delete()
    page.get_by_role("button", name="Add and test").click()
    expect(page.get_by_text("Your session ended.")).to_be_visible()
    kept = page.evaluate("Object.values(sessionStorage).join()")
    assert "second account" in kept
    assert "SG_secret" not in kept


def test_a_page_from_before_another_sign_in_is_reloaded_with_what_was_typed(
    page: Page, web: WebServer, ada: User
) -> None:
    fill_form(page, web, ada)
    page.context.clear_cookies(name=csrf_cookie(web.url))
    start(page)
    expect(alert(page)).to_contain_text("open for too long")
    alert(page).get_by_role("button", name="Reload, and keep what I typed").click()
    expect(page.get_by_text("What you typed is still here.")).to_be_visible()
    start(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")


def test_the_search_of_a_table_whose_session_ended_leads_to_the_sign_in(
    page: Page, web: WebServer, ada: User
) -> None:
    """Case 55."""
    make_job(ada, "ready")
    page.goto("/")
    page.get_by_role("searchbox").fill("night")
    page.context.clear_cookies()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/login/[?]next="))
    expect(page.locator("#job-table")).to_have_count(0)


def test_a_refused_form_leads_to_its_first_bad_field(page: Page, web: WebServer, ada: User) -> None:
    fill_form(page, web, ada)
    page.get_by_label("Name", exact=True).fill("")
    page.get_by_label("Steps").fill("many")
    start(page)
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    expect(page.get_by_label("Name", exact=True)).to_be_in_viewport()
    sentence = page.locator("#job-form [role=alert]").first
    expect(sentence).to_contain_text("Nothing is started yet. Check: Name, Steps.")
    sentence.get_by_role("link", name="Steps").click()
    expect(page.get_by_label("Steps")).to_be_focused()


def test_the_selection_is_there_after_the_comparison(page: Page, web: WebServer, ada: User) -> None:
    """And the download of links says on the page that it came."""
    jobs = [make_job(ada, "ready", request_id=f"r-{n}", cloud_storage_url="x") for n in range(3)]
    page.goto("/")
    for job in jobs[:2]:
        page.locator(f"#select-{job.pk}").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare 2 jobs")
    page.go_back()
    expect(page.locator("[name=job]:checked")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download links").click()
    assert download.value.suggested_filename == "download-links.txt"
    expect(page.get_by_text("“download-links.txt” was downloaded.")).to_be_visible()
    page.goto("/team/")
    page.goto("/")
    expect(page.locator("[name=job]:checked")).to_have_count(0)


@pytest.mark.parametrize("path", ["/jobs/new/", "/", "/datasets/"])
def test_a_drop_anywhere_on_the_page_is_taken(
    page: Page, web: WebServer, ada: User, tmp_path: Path, path: str
) -> None:
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(five_pairs()))
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(path)
    drop(page, whole, on="h1")
    expect(page.get_by_role("heading", level=1)).to_have_text("New job")
    expect(page.locator("#dataset-status")).to_contain_text("hats.zip")
    assert page.url.endswith("/jobs/new/")
    assert Dataset.objects.get().filename == "hats.zip"


def test_start_waits_for_the_answer_to_a_question(
    page: Page, web: WebServer, ada: User, tmp_path: Path
) -> None:
    """Another dataset is selected, and a folder with a guessed layout was dropped."""
    page.on("dialog", lambda dialog: dialog.accept())
    fill_form(page, web, ada)
    files = {f"{half}/{n}.png": PNG for half in ("before", "after") for n in range(3)}
    choose_folder(page, laid_out(tmp_path / "set", files))
    question = page.get_by_role("button", name="Pack and upload")
    expect(question).to_be_visible()
    start(page)
    expect(page.get_by_text("Nothing was started. Answer the question about your files")).to_be_visible()
    expect(question).to_be_focused()
    question.click()
    expect(page.locator("#dataset-status")).to_contain_text("set.zip")
    start(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")
    assert Job.objects.get().dataset.filename == "set.zip"


def test_start_waits_while_a_file_is_read(page: Page, web: WebServer, ada: User, tmp_path: Path) -> None:
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(five_pairs()))
    page.on("dialog", lambda dialog: dialog.accept())
    fill_form(page, web, ada)
    page.route("**/uploads/", lambda route: None)  # not yet begun
    choose_files(page, whole)
    expect(page.locator("[data-preview] .pair")).to_have_count(5)
    start(page)
    expect(page.get_by_text("Nothing was started. Your files are still being read.")).to_be_visible()
    assert not Job.objects.exists()


def test_an_upload_goes_on_from_another_browser(
    page: Page, web: WebServer, ada: User, tmp_path: Path
) -> None:
    """From the library, the job and the dataset."""
    whole, other = tmp_path / "big.zip", tmp_path / "other.zip"
    whole.write_bytes(packed({**five_pairs(), "noise.bin": bytes(3 * MEBIBYTE)}))
    other.write_bytes(packed(five_pairs()))
    dataset = start_upload(owner=ada, filename="big.zip", size=whole.stat().st_size)
    dataset.path.write_bytes(whole.read_bytes()[:MEBIBYTE])
    before = now() - timedelta(hours=1)
    Dataset.objects.filter(pk=dataset.pk).update(received=MEBIBYTE, updated_at=before)
    job = make_job(ada, "waiting", dataset=dataset)
    sent: list[int] = []
    page.on("request", lambda each: each.method == "PATCH" and sent.append(offset_of(each)))
    for path in ("/datasets/", f"/jobs/{job.pk}/"):
        page.goto(path)
        page.get_by_role("link", name="Choose “big.zip” again").click()
        expect(page.get_by_role("heading", name="Choose “big.zip” again")).to_be_visible()
    choose_files(page, other)
    expect(page.get_by_text("the upload that stopped was “big.zip” with")).to_be_visible()
    choose_files(page, whole)
    expect(page.get_by_role("heading", name="Choose “big.zip” again")).to_have_count(0)
    assert min(sent) == MEBIBYTE, "what had arrived is not sent again"
    assert dataset.path.read_bytes() == whole.read_bytes()


def offset_of(request: Request) -> int:
    return int(request.headers["upload-offset"])


def test_the_preview_stays_until_the_servers_pictures_have_loaded(
    page: Page, web: WebServer, ada: User, tmp_path: Path
) -> None:
    """No picture is grey in between, and none is shown whose address is gone."""
    missing: list[str] = []
    page.on("console", lambda line: missing.append(line.text) if "ERR_FILE_NOT_FOUND" in line.text else None)
    dataset = make_dataset(ada)
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(five_pairs()))
    page.goto("/jobs/new/")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/uploads/*/", hold)
    page.route("**-small.webp", hold)
    choose_files(page, whole)
    preview = page.locator("[data-preview] .pair")
    expect(preview).to_have_count(5)
    page.evaluate(
        "(url) => htmx.ajax('GET', url, { target: '#dataset-status', swap: 'outerHTML' })",
        f"/datasets/{dataset.pk}/status/",
    )
    expect(page.locator("#dataset-status .badge")).to_be_visible()
    expect(page.locator("#dataset-status .pairs")).to_be_hidden()
    expect(preview).to_have_count(5)
    page.unroute("**-small.webp")
    for route in held:
        if route.request.url.endswith(".webp"):
            route.continue_()
    expect(page.locator("#dataset-status .pairs")).to_be_visible()
    expect(preview).to_have_count(0)
    assert missing == []
