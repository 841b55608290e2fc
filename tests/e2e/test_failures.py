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
from finetune_portal.connections import services as connections
from finetune_portal.datasets import previews
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.services import start_upload
from finetune_portal.jobs.models import Job, Preset
from tests.cookies import csrf_cookie
from tests.e2e.axe import OF_COLOURS, faults
from tests.e2e.dropping import MEBIBYTE, PNG, choose_files, choose_folder, drop, five_pairs, laid_out, packed
from tests.people import PASSWORD, make_dataset, make_job, person
from tests.waiting import until
from tests.web_server import WebServer

pytestmark = pytest.mark.browser


KEPT = "Object.keys(sessionStorage).filter((key) => key.startsWith('typed:'))"


def fill_form(page: Page, web: WebServer, owner: User) -> None:
    dataset = make_dataset(owner)
    page.goto(f"/jobs/new/?dataset={dataset.pk}")
    page.get_by_label("Name", exact=True).fill("Day to night")
    page.get_by_label("Prompt").fill("turn day into night")
    page.get_by_label("Steps", exact=True).fill("450")


def start(page: Page) -> None:
    """Press as long as a person does: what leaving a field changes must not move the button meanwhile."""
    page.get_by_role("button", name="Start job").click(delay=150)


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
    expect(page.locator("#price")).to_have_text("You are offline. The price and the time are not known now.")
    assert faults(page) == []
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert faults(page, OF_COLOURS) == []
    page.context.set_offline(False)
    assert not Job.objects.exists()
    page.get_by_label("Steps", exact=True).fill("500")
    alert(page).get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")
    expect(alert(page)).to_have_count(0)
    assert Job.objects.get().steps == 500, "with what was typed in the meantime"


# What fails in the background of the form, how a person brings it about, and what is said: where nothing left
# the browser, and where a proxy answered.
BACKGROUND = {
    "connection": ("The connection stays as it was.",) * 2,
    "trainer": ("What to train stays as it was.",) * 2,
    "library": ("The dataset is selected, but what is in it is not shown.",) * 2,
    "status": ("What is shown of the dataset may be old. The page tries again by itself.",) * 2,
    "repair": ("No copy was made.", "A copy may be in the library all the same: look there first."),
    "address": (
        "The URL was not checked.",
        "The dataset may be in the library all the same: look there first.",
    ),
    "preset saved": (
        "The preset was not saved.",
        "If it was saved after all, “Try again” says that its name is taken.",
    ),
    "preset deleted": (
        "The preset was not deleted.",
        "It may be deleted all the same: “Try again” deletes no other.",
    ),
}


BACKGROUND_URLS = re.compile("/(parameters|status|repair|from-url|presets)/")


def bad_gateway(route: Route) -> None:
    route.fulfill(status=502, body="<h1>Bad Gateway</h1>")


def bring_about(page: Page, name: str, dataset: Dataset) -> None:
    match name:
        case "connection":
            page.get_by_role("radio", name="At fal").click()
        case "trainer":
            page.get_by_label("What to train").select_option(label="FLUX.1 Kontext edit")
        case "library":
            page.get_by_role("combobox", name="Dataset").select_option(str(dataset.pk))
        case "repair":
            page.get_by_role("button", name="Make a repaired copy").click()
        case "address":
            page.get_by_text("or at a public URL").click()
            page.get_by_label("Public URL of a ZIP").fill("https://example.com/pairs.zip")
            page.get_by_role("button", name="Check URL").click()
        case "preset saved":
            page.get_by_text("as a preset for the team").click()
            page.get_by_label("Preset name").fill("Caps")
            page.get_by_role("button", name="Save preset").click()
        case "preset deleted":
            page.get_by_role("button", name="Delete the preset Hats").click()


@pytest.mark.parametrize("request_name", BACKGROUND)
def test_a_background_request_of_the_form_says_what_failed(
    page: Page, web: WebServer, admin: User, request_name: str
) -> None:
    """Not that nothing was started: nobody tried to. What is no longer right does not stand on the page."""
    connections.built_in()
    at_fal = connections.add(name="At fal", provider="fal", key="a-key", actor=admin)
    Preset.objects.create(owner=admin, name="Hats", learning_rate=1e-4, steps=500, parameters={})
    sentences = BACKGROUND[request_name]
    for sentence, is_offline in zip(sentences, (True, False), strict=True):
        page.route(
            "**/jobs/new/price/**", lambda route: route.fulfill(status=204)
        )  # it has a test of its own
        if request_name == "trainer":
            connections.make_default(at_fal, actor=admin)
        dataset = make_dataset(admin, data=packed({**five_pairs(), "01.txt": "café".encode("utf-16")}))
        Dataset.objects.update(state="checking" if request_name == "status" else "ready")
        page.goto("/jobs/new/" if request_name == "library" else f"/jobs/new/?dataset={dataset.pk}")
        shown = page.locator("#advanced").inner_html(), page.locator("#trainer").inner_html()
        what = "You are offline." if is_offline else "The portal cannot be reached (502)."
        if is_offline:
            page.context.set_offline(True)
        else:
            page.route(BACKGROUND_URLS, bad_gateway)
        bring_about(page, request_name, dataset)
        expect(alert(page)).to_contain_text(f"{what} {sentence}")
        expect(alert(page)).not_to_contain_text("started")
        assert (page.locator("#advanced").inner_html(), page.locator("#trainer").inner_html()) == shown
        page.context.set_offline(False)
        page.unroute_all()


def test_a_choice_whose_fields_did_not_come_is_made_again(page: Page, web: WebServer, admin: User) -> None:
    engine = connections.built_in()
    connections.add(name="At fal", provider="fal", key="a-key", actor=admin)
    page.goto("/jobs/new/")
    engine_radio = page.get_by_role("radio", name=str(engine))
    fal_radio = page.get_by_role("radio", name="At fal")
    price = page.locator("#price").inner_text()
    page.route("**/jobs/new/price/**", lambda route: route.abort())
    page.route(BACKGROUND_URLS, bad_gateway)
    for _ in range(2):
        fal_radio.click()
        expect(alert(page)).to_be_visible()
        expect(engine_radio).to_be_checked()
        expect(page.locator("#price")).to_have_text(price)
    page.unroute(BACKGROUND_URLS)
    alert(page).get_by_role("button", name="Try again").click()
    trainer = page.get_by_label("What to train")
    expect(trainer).to_be_visible()
    expect(fal_radio).to_be_checked()
    expect(page.locator("#price")).to_contain_text("The price and the time are not known now.")
    before = trainer.input_value()
    page.route(BACKGROUND_URLS, bad_gateway)
    trainer.select_option(label="FLUX.1 Kontext edit")
    expect(alert(page)).to_contain_text("What to train stays as it was.")
    expect(trainer).to_have_value(before)
    engine_radio.click()
    expect(alert(page)).to_contain_text("The connection stays as it was.")
    expect(fal_radio).to_be_checked()


def test_captions_whose_encoding_nobody_names_are_not_called_wrong(
    page: Page, web: WebServer, admin: User, tmp_path: Path
) -> None:
    files = {**five_pairs(), "01.txt": "größe".encode("cp1252")}
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(files))
    page.goto("/jobs/new/")
    page.route("**/code-page/", bad_gateway)
    choose_folder(page, laid_out(tmp_path / "hats", files))
    error = page.locator("[data-upload-error]")
    expect(error).to_have_text(
        "Texts are in an old encoding, and the portal could not be asked which one. Nothing was sent. "
        "Choose the files again."
    )
    assert not Dataset.objects.exists()
    choose_files(page, whole)
    expect(error).to_contain_text("The portal checks them once the ZIP is there.")
    expect(page.locator("#dataset-status")).to_contain_text("hats.zip")
    expect(page.locator("[data-preview]")).not_to_contain_text("not text")


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


@pytest.mark.parametrize("name", ["Day to night", None], ids=["typed", "suggested"])
def test_two_clicks_on_start_make_one_job(page: Page, web: WebServer, admin: User, name: str | None) -> None:
    """Case 56."""
    fill_form(page, web, admin)
    if name is None:
        page.reload()  # the name that the form suggests
    page.get_by_role("button", name="Start job").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text(name or Dataset.objects.get().name)
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
    expect(page.get_by_label("Steps", exact=True)).to_have_value("450")
    assert page.evaluate(KEPT) == []
    start(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")


def test_what_one_person_typed_is_not_shown_to_another(page: Page, web: WebServer, admin: User) -> None:
    fill_form(page, web, admin)
    Session.objects.all().delete()
    start(page)
    sign_in(page, person("bob", User.Role.MAKER))
    expect(page.get_by_role("heading", level=1)).to_have_text("New job")
    until(lambda: page.evaluate(KEPT) == [], why="the page has forgotten it")
    page.wait_for_load_state("load")
    expect(page.get_by_label("Name", exact=True)).to_have_value(Dataset.objects.get().name)
    expect(page.get_by_label("Prompt")).to_have_value("")


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
    page.get_by_label("Steps", exact=True).fill("many")
    start(page)
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    expect(page.get_by_label("Name", exact=True)).to_be_in_viewport()
    sentence = page.locator("#job-form [role=alert]").first
    expect(sentence).to_contain_text("Nothing is started yet. Check: Name, Steps.")
    sentence.get_by_role("link", name="Steps").click()
    expect(page.get_by_label("Steps", exact=True)).to_be_focused()


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


def test_dropped_files_that_the_form_did_not_get_are_taken_again(
    page: Page, web: WebServer, admin: User, tmp_path: Path
) -> None:
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(five_pairs()))
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/")
    page.route("**/js/upload*.js", lambda route: route.abort())
    drop(page, whole, on="h1")
    expect(alert(page)).to_contain_text("The files that you dropped were not taken.")
    page.unroute("**/js/upload*.js")
    alert(page).get_by_role("button", name="Try again").click()
    expect(page.locator("#dataset-status")).to_contain_text("hats.zip")


def test_a_picture_dropped_in_the_playground_is_ones_own(
    page: Page, web: WebServer, admin: User, tmp_path: Path
) -> None:
    own = tmp_path / "own.png"
    own.write_bytes(PNG)
    job = make_job(admin, "ready", request_id="r-1", slug="day-to-night", dataset=make_dataset(admin))
    page.goto(f"/jobs/{job.pk}/")
    expect(page.locator(".playground-form")).to_be_visible()
    drop(page, own, on="h1")
    expect(page.locator(".thumb.uploaded img")).to_be_visible()
    assert page.url.endswith(f"/jobs/{job.pk}/"), "the browser does not open the picture"
    names = page.locator(".playground-form [name=file]").evaluate(
        "input => [...input.files].map((f) => f.name)"
    )
    assert names == ["own.png"]


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

    def note_offset(request: Request) -> None:
        if request.method == "PATCH":
            sent.append(offset_of(request))

    page.on("request", note_offset)
    for path in ("/datasets/", f"/jobs/{job.pk}/"):
        page.goto(path)
        page.get_by_role("link", name="Choose “big.zip” again").click()
        expect(page.get_by_role("heading", name="Choose “big.zip” again")).to_be_visible()
    choose_files(page, other)
    expect(page.get_by_text("the upload that stopped was “big.zip” with")).to_be_visible()
    choose_files(page, whole)
    expect(page.get_by_role("heading", name="Choose “big.zip” again")).to_have_count(0)
    until(lambda: dataset.path.read_bytes() == whole.read_bytes(), why="all of it has arrived")
    assert min(sent) == MEBIBYTE, "what had arrived is not sent again"


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
    until(previews.make_next, why="the page asks for them")
    expect(page.locator("#dataset-status .pairs")).to_be_visible()
    expect(preview).to_have_count(0)
    assert missing == []
