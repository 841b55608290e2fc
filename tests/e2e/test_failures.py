"""What comes of a request that failed, on its page: what is kept, what is said, and how to go on."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session
from django.utils.timezone import now
from playwright.sync_api import Locator, Page, Request, Route, expect

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.services import start_upload
from finetune_portal.jobs.models import Job
from tests.cookies import csrf_cookie
from tests.e2e.axe import OF_COLOURS, faults
from tests.e2e.dropping import MEBIBYTE, PNG, choose_files, choose_folder, drop, five_pairs, laid_out, packed
from tests.people import PASSWORD, make_dataset, make_job, person
from tests.web_server import WebServer

pytestmark = pytest.mark.browser


KEPT = "Object.keys(sessionStorage).filter((key) => key.startsWith('typed:'))"


def fill_form(page: Page, web: WebServer, owner: User) -> None:
    dataset = make_dataset(owner)
    page.goto(f"/jobs/new/?dataset={dataset.pk}")
    page.get_by_label("Name", exact=True).fill("Day to night")
    page.get_by_label("Prompt").fill("turn day into night")
    page.get_by_label("Steps").fill("450")


def start(page: Page) -> None:
    page.get_by_role("button", name="Start job").click()


def sign_in(page: Page, user: User) -> None:
    page.get_by_label("E-mail").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def alert(page: Page) -> Locator:
    return page.locator("#failures [role=alert]")


def test_start_says_that_nothing_was_started_and_tries_again(page: Page, web: WebServer, admin: User) -> None:
    fill_form(page, web, admin)
    page.context.set_offline(True)
    start(page)
    expect(alert(page)).to_contain_text("You are offline. Nothing was started.")
    assert faults(page) == []
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert faults(page, OF_COLOURS) == []
    page.context.set_offline(False)
    assert not Job.objects.exists()
    page.get_by_label("Steps").fill("500")
    alert(page).get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")
    expect(alert(page)).to_have_count(0)
    assert Job.objects.get().steps == 500, "with what was typed in the meantime"


def test_a_lost_answer_does_not_start_a_second_job(page: Page, web: WebServer, admin: User) -> None:
    """Cases 24 and 56: the portal started the job, and its answer was lost."""
    fill_form(page, web, admin)

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


def test_two_clicks_on_start_make_one_job(page: Page, web: WebServer, admin: User) -> None:
    """Case 56."""
    fill_form(page, web, admin)
    page.get_by_role("button", name="Start job").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("New job")
    start(page)
    expect(page.get_by_text("Enter a name for the job.")).to_be_visible()
    assert Job.objects.count() == 1


@pytest.mark.parametrize("are_cookies_gone", [True, False], ids=["cookies-gone", "session-ended"])
def test_a_session_that_ended_at_start_leads_back_to_the_form(
    page: Page, web: WebServer, admin: User, are_cookies_gone: bool
) -> None:
    fill_form(page, web, admin)
    if are_cookies_gone:
        page.context.clear_cookies()
    else:
        Session.objects.all().delete()
    start(page)
    expect(page.get_by_text("Your session ended.")).to_be_visible()
    page.get_by_label("E-mail").fill(admin.email)
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


def test_what_one_person_typed_is_not_shown_to_another(page: Page, web: WebServer, admin: User) -> None:
    fill_form(page, web, admin)
    Session.objects.all().delete()
    start(page)
    sign_in(page, person("bob", User.Role.MAKER))
    expect(page.get_by_role("heading", level=1)).to_have_text("New job")
    expect(page.get_by_label("Name", exact=True)).to_have_value("")
    assert page.evaluate(KEPT) == []


def test_a_secret_is_not_kept(page: Page, web: WebServer, admin: User) -> None:
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
    page: Page, web: WebServer, admin: User
) -> None:
    fill_form(page, web, admin)
    page.context.clear_cookies(name=csrf_cookie(web.url))
    start(page)
    expect(alert(page)).to_contain_text("open for too long")
    alert(page).get_by_role("button", name="Reload, and keep what I typed").click()
    expect(page.get_by_text("What you typed is still here.")).to_be_visible()
    start(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")


def test_the_search_of_a_table_whose_session_ended_leads_to_the_sign_in(
    page: Page, web: WebServer, admin: User
) -> None:
    """Case 55."""
    make_job(admin, "ready")
    page.goto("/")
    page.get_by_role("searchbox").fill("night")
    page.context.clear_cookies()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/login/[?]next="))
    expect(page.locator("#job-table")).to_have_count(0)


def test_a_refused_form_leads_to_its_first_bad_field(page: Page, web: WebServer, admin: User) -> None:
    fill_form(page, web, admin)
    page.get_by_label("Name", exact=True).fill("")
    page.get_by_label("Steps").fill("many")
    start(page)
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    expect(page.get_by_label("Name", exact=True)).to_be_in_viewport()
    sentence = page.locator("#job-form [role=alert]").first
    expect(sentence).to_contain_text("Nothing is started yet. Check: Name, Steps.")
    sentence.get_by_role("link", name="Steps").click()
    expect(page.get_by_label("Steps")).to_be_focused()


def test_the_selection_is_there_after_the_comparison(page: Page, web: WebServer, admin: User) -> None:
    """And the download of links says on the page that it came."""
    jobs = [make_job(admin, "ready", request_id=f"r-{n}", cloud_storage_url="x") for n in range(3)]
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
    page: Page, web: WebServer, admin: User, tmp_path: Path, path: str
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
    page: Page, web: WebServer, admin: User, tmp_path: Path
) -> None:
    """Another dataset is selected, and a folder with a guessed layout was dropped."""
    page.on("dialog", lambda dialog: dialog.accept())
    fill_form(page, web, admin)
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


def test_start_waits_while_a_file_is_read(page: Page, web: WebServer, admin: User, tmp_path: Path) -> None:
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(five_pairs()))
    page.on("dialog", lambda dialog: dialog.accept())
    fill_form(page, web, admin)
    page.route("**/uploads/", lambda route: None)  # not yet begun
    choose_files(page, whole)
    expect(page.locator("[data-preview] .pair")).to_have_count(5)
    start(page)
    expect(page.get_by_text("Nothing was started. Your files are still being read.")).to_be_visible()
    assert not Job.objects.exists()


def test_an_upload_goes_on_from_another_browser(
    page: Page, web: WebServer, admin: User, tmp_path: Path
) -> None:
    """From the library, the job and the dataset."""
    whole, other = tmp_path / "big.zip", tmp_path / "other.zip"
    whole.write_bytes(packed({**five_pairs(), "noise.bin": bytes(3 * MEBIBYTE)}))
    other.write_bytes(packed(five_pairs()))
    dataset = start_upload(owner=admin, filename="big.zip", size=whole.stat().st_size)
    dataset.path.write_bytes(whole.read_bytes()[:MEBIBYTE])
    before = now() - timedelta(hours=1)
    Dataset.objects.filter(pk=dataset.pk).update(received=MEBIBYTE, updated_at=before)
    job = make_job(admin, "waiting", dataset=dataset)
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


def test_an_upload_whose_session_ended_goes_on_after_the_sign_in(
    page: Page, web: WebServer, admin: User, tmp_path: Path
) -> None:
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(five_pairs()))
    page.goto("/jobs/new/")
    page.get_by_label("Name", exact=True).fill("Day to night")
    Session.objects.all().delete()
    choose_files(page, whole)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in").click()
    sign_in(opened.value, admin)
    expect(page.locator("#dataset-status")).to_contain_text("hats.zip")
    expect(page.get_by_text("Your session ended")).to_be_hidden()
    page.get_by_label("Prompt").fill("turn day into night")
    start(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")


@pytest.mark.parametrize("failure", ["missing", "refused"])
def test_what_cannot_be_copied_is_selected(page: Page, web: WebServer, admin: User, failure: str) -> None:
    """Over plain http there is no clipboard, and a policy may refuse it."""
    clipboard = "undefined" if failure == "missing" else "{ writeText: () => Promise.reject(new Error()) }"
    page.add_init_script(f"Object.defineProperty(navigator, 'clipboard', {{ value: {clipboard} }})")
    page.goto("/api/")
    snippet = page.locator(".snippet").first
    snippet.get_by_role("button", name="Copy").click()
    expect(snippet.get_by_role("button")).to_have_text("Press Ctrl+C")
    assert page.evaluate("getSelection().toString()").strip() == snippet.locator("code").inner_text().strip()


def offset_of(request: Request) -> int:
    return int(request.headers["upload-offset"])


def test_the_preview_stays_until_the_servers_pictures_have_loaded(
    page: Page, web: WebServer, admin: User, tmp_path: Path
) -> None:
    """No picture is grey in between, and none is shown whose address is gone."""
    missing: list[str] = []
    page.on("console", lambda line: missing.append(line.text) if "ERR_FILE_NOT_FOUND" in line.text else None)
    dataset = make_dataset(admin)
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
