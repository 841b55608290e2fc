"""An upgrade keeps all data of release 35ee960, as a person at a browser and a script find it.

The fixture has a training in each state, half an upload, generations, notifications, sealed keys, second
factors, sessions and what else that release stored. The first tests look at it while nothing moves, the
others let the worker go on with it. They know pages, calls and the providers' ledgers, and no model.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import time
from typing import Any

import pytest
import requests
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from tests import databases
from tests.cookies import session_cookie
from tests.provider import PICTURE, WEIGHTS, Request
from tests.upgrade.conftest import RELEASE, Upgraded
from tests.waiting import until

pytestmark = pytest.mark.long

TUS = {"Tus-Resumable": "1.0.0"}
STATES = {
    *("waiting", "queued", "sending", "unconfirmed", "needs_decision", "refused", "closed", "requested"),
    *("data", "training", "running", "trained", "deploying", "ready", "failed"),
}
WAITS_FOR_ITS_FILE = "Sweep 0.0002"  # somebody asked for a check, which is a copy now


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# As it was left ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "shown"), [("ada", "Ada"), ("alice", "Alice Ω")])
def test_who_was_signed_in_still_is(migrated: Upgraded, name: str, shown: str) -> None:
    person = migrated.person(name)
    assert f"{name}@example.com" in person.page("/profile/")
    assert person.post("/profile/", {"name": shown}).ok, "the CSRF token of before counts, too"

    # From now on by the new names, whatever another Django on this host does with the old ones.
    del person.session.cookies["sessionid"], person.session.cookies["csrftoken"]
    assert session_cookie(person.url) in person.session.cookies
    assert f"{name}@example.com" in person.page("/profile/")
    assert person.post("/profile/", {"name": shown}).ok


def test_nobody_else_is(migrated: Upgraded) -> None:
    assert "/login/" in migrated.person().get("/").url


def test_each_job_is_shown_in_its_state(migrated: Upgraded) -> None:
    assert {job["state"] for job in migrated.facts["jobs"]} == STATES
    alice = migrated.person("alice")
    for job in migrated.facts["jobs"]:
        page = alice.page(f"/jobs/{job['pk']}/")
        assert job["name"] in page
        shown = "copying" if job["name"] == WAITS_FOR_ITS_FILE else job["state"]
        assert migrated.state(job["name"]) == shown, job["name"]
        assert not job["request_id"] or job["request_id"] in page
        assert job["file_sha256"] in page
    page = alice.page(f"/jobs/{migrated.job('Ready with a curve')['pk']}/")
    assert "The moon is right at last." in page
    assert "night, moon" in page
    assert "Alice Ω" in page
    assert "Pair 3 has no end picture." in alice.page(f"/jobs/{migrated.job('Failed')['pk']}/")


def test_the_table_has_all_but_what_was_archived(migrated: Upgraded) -> None:
    table = migrated.person("alice").page("/?sort=name")  # in which each job of a sweep has a row
    for job in migrated.facts["jobs"]:
        assert (f'href="/jobs/{job["pk"]}/"' in table) == (job["name"] != "Archived"), job["name"]
    archived = f'href="/jobs/{migrated.job("Archived")["pk"]}/"'
    assert archived in migrated.person("alice").page("/?archived=on")


def test_a_script_lists_the_jobs_by_its_token(migrated: Upgraded) -> None:
    listed = {item["name"]: item for item in migrated.call("/finetune/request/list").json()}
    assert set(listed) == {job["name"] for job in migrated.facts["jobs"]} - {"Archived"}
    assert listed["Ready"]["status"] == "AVAILABLE"
    assert listed["Running"]["status"] == "CALIBRATING_LENSES"
    assert listed["Ready with a curve"]["advance_parameters"]["learning_rate"] == 0.0004


@pytest.mark.parametrize("token", ["revoked", "expired", "left"])
def test_a_token_that_was_over_stays_over(migrated: Upgraded, token: str) -> None:
    assert migrated.call("/finetune/request/list", token).status_code == 401


def test_what_an_engine_told_of_a_training_is_there(migrated: Upgraded) -> None:
    alice = migrated.person("alice")
    for name in ("Ready with a curve", "Training with a curve", "Cancelling"):
        job = migrated.job(name)
        assert job["samples"] == [0, 75, 150]
        page = alice.page(f"/jobs/{job['pk']}/")
        assert "[0, 0.81]" in page
        assert "[150, 0.2105]" in page
        for sample in (*job["samples"], "control", "target"):
            assert alice.get(f"/jobs/{job['pk']}/samples/{sample}/").content == PICTURE


def test_datasets_keep_versions_checks_and_pictures(migrated: Upgraded) -> None:
    alice = migrated.person("alice")
    for dataset in migrated.facts["datasets"]:
        page = alice.page(f"/datasets/{dataset['pk']}/")
        assert dataset["name"] in page
        if dataset["state"] == "ready":
            assert f"{dataset['pairs']} pairs" in page
    first, captions = number_of(migrated, "Night streets"), number_of(migrated, "night")
    assert alice.get(f"/datasets/{first}/0-start-small.webp").status_code == 202, "a worker will make it"
    assert "turn day into a starry night" in alice.page(f"/datasets/{captions}/captions/")
    assert "https://files.example/elsewhere.zip" in alice.page(
        f"/datasets/{number_of(migrated, 'elsewhere')}/"
    )
    library = alice.page("/datasets/")
    assert f"/datasets/{first}/" in library
    assert f"/datasets/{number_of(migrated, 'deleted')}/" not in library
    assert "_start" in alice.page(f"/datasets/{number_of(migrated, 'refused')}/")


def number_of(upgraded: Upgraded, name: str) -> int:
    return int(next(each["pk"] for each in upgraded.facts["datasets"] if each["name"] == name))


def test_generations_are_shown_with_their_pictures(migrated: Upgraded) -> None:
    alice = migrated.person("alice")
    pages = {
        job: alice.page(f"/jobs/{job}/try/")
        for job in {each["job"] for each in migrated.facts["generations"]}
    }
    states = set()
    for each in migrated.facts["generations"]:
        states.add(each["state"])
        assert each["prompt"] in pages[each["job"]]
        assert each["prompt"] in alice.page(f"/try/runs/{each['pk']}/")
        picture = alice.get(f"/try/runs/{each['pk']}/result/")
        assert (sha256(picture.content) == each["sha256"]) if each["sha256"] else picture.status_code == 404
    assert states == {"queued", "running", "done", "failed", "unconfirmed"}


def test_the_settings_are_as_they_were(migrated: Upgraded) -> None:
    ada, alice = migrated.person("ada"), migrated.person("alice")
    connections = ada.page("/settings/")
    for text in ("Vendor", "…1111", "Studio", "…2222", "Old account", "…4444"):
        assert text in connections
    limits = ada.page("/settings/limits/")
    assert 'value="50"' in limits
    assert 'value="500"' in limits
    channels = ada.page("/settings/notices/")
    assert "Ops room" in channels
    assert "JSON at 127.0.0.1:9" in channels
    assert "alice@example.com" in alice.page("/settings/notices/")
    deliveries = ada.page("/settings/webhooks/deliveries/")
    for text in ("Looked up: Ready", "No job of ours is named", "finetune.available"):
        assert text in deliveries
    assert "127.0.0.1 refused the connection" in ada.page("/settings/webhooks/")
    assert "My ready ones" in alice.page("/")
    assert "House style" in alice.page("/jobs/new/")
    tokens = alice.page("/tokens/")
    assert "nightly" in tokens
    assert migrated.facts["tokens"]["nightly"][-4:] in tokens


def test_what_was_paid_is_in_the_costs(migrated: Upgraded) -> None:
    exported = csv.DictReader(io.StringIO(migrated.person("ada").page("/costs/csv/?month=all&by=each")))
    states = {(row["kind"], row["name"]): row["state"] for row in exported}
    assert states["Job", "Unconfirmed"] == "Answer lost"
    for name in ("Ready", "Failed", "Running"):
        assert states["Job", name] in ("Billed", "No bill yet")
    for name in ("Refused", "Closed", "Ready at home"):
        assert ("Job", name) not in states
    assert any(kind == "Generation" for kind, _ in states)


def test_people_and_invitations_are_there(migrated: Upgraded) -> None:
    team = migrated.person("ada").page("/team/")
    for name in ("ada", "alice", "bob", "charlie", "frank", "erin"):
        assert f"{name}@example.com" in team
    assert "late@example.com" not in team
    invited = migrated.person().get(f"/setup/{migrated.facts['invitation']}")
    assert invited.status_code == 200
    assert "erin@example.com" in invited.text


def test_a_second_factor_verifies(migrated: Upgraded) -> None:
    code = format_hotp_value(hotp_value(migrated.facts["app_secret"], int(time.time()) // 30))
    for proof in (str(code), migrated.facts["recovery_codes"][3]):
        bob = migrated.person()
        entered = bob.post("/login/", {"username": "bob@example.com", "password": migrated.facts["password"]})
        assert entered.url.endswith("/login/second-factor/")
        bob.post("/login/second-factor/", {"code": proof})
        assert "bob@example.com" in bob.page("/profile/")


def test_the_record_is_whole_and_still_only_grows(migrated: Upgraded) -> None:
    exported = csv.reader(io.StringIO(migrated.person("ada").page("/audit/csv/")))
    lines: dict[int, list[Any]] = {}
    for number, at, who, action, thing, detail, address, request in list(exported)[1:]:
        lines[int(number)] = [int(number), at, who, action, thing, json.loads(detail), address, request]
    for line in migrated.facts["audit"]:
        assert lines[line[0]] == line
    with databases.opened(migrated.portal.data) as database:
        for change in ("UPDATE audit_auditevent SET action = 'x'", "DELETE FROM audit_auditevent"):
            with pytest.raises(Exception, match="can only grow"):
                database.execute(change)


# With the worker --------------------------------------------------------------------------------


def test_a_preview_that_was_never_made_is_made(at_work: Upgraded) -> None:
    alice, first = at_work.person("alice"), number_of(at_work, "Night streets")
    address = f"/datasets/{first}/0-start-small.webp"
    until(lambda: alice.get(address).headers["Content-Type"] == "image/webp", why="the worker makes it")


def test_half_an_upload_goes_on_to_its_end(at_work: Upgraded) -> None:
    alice, half = at_work.person("alice"), at_work.facts["half"]
    place = f"{at_work.portal.url}/uploads/{half['key']}/"
    offset = alice.session.head(place, headers=TUS, timeout=20)
    assert (offset.status_code, offset.headers["Upload-Offset"]) == (200, str(half["sent"]))
    assert offset.headers["Upload-Metadata"].startswith("filename bmlnaHQuemlw")
    lines = TUS | {"Upload-Offset": str(half["sent"]), "Content-Type": "application/offset+octet-stream"}
    ended = alice.session.patch(place, bytes.fromhex(half["rest"]), headers=lines, timeout=20)
    assert (ended.status_code, ended.headers["Upload-Offset"]) == (204, str(half["size"]))
    page = f"/datasets/{number_of(at_work, 'half')}/"
    until(lambda: half["sha256"] in alice.page(page), why="it was checked and handed over whole")
    assert f"{half['pairs']} pairs" in alice.page(page)


def test_what_waited_is_submitted_once(at_work: Upgraded) -> None:
    until(lambda: at_work.state("Queued") == "ready", why="it was sent and followed")
    assert at_work.vendor.charged(at_work.job("Queued")["sent_as"]) == 1
    until(lambda: at_work.state("Waiting") == "ready", why="its dataset was checked, then the engine trained")


def test_what_may_have_been_paid_is_never_sent_again(at_work: Upgraded) -> None:
    until(lambda: at_work.state("Sending") == "ready", why="it is found in the list")
    assert at_work.vendor.charged(at_work.job("Sending")["sent_as"]) == 1
    assert at_work.state("Unconfirmed") == "unconfirmed"
    assert at_work.state("Needs a decision") == "needs_decision"
    at_work.person("ada").post(
        f"/jobs/{at_work.job('Needs a decision')['pk']}/decide/", {"decision": "close"}
    )
    assert at_work.state("Needs a decision") == "closed"
    names = [request.json["name"] for request in at_work.vendor.sent("submit")]
    assert names == [at_work.job("Queued")["sent_as"]]


@pytest.mark.parametrize("name", ["Requested", "Data", "Training", "Running", "Trained", "Deploying"])
def test_what_the_provider_was_at_is_followed_to_its_end(at_work: Upgraded, name: str) -> None:
    until(lambda: at_work.state(name) == "ready", why=name)


@pytest.mark.parametrize("name", ["Trains", "Queued", "Reads", "Deploys"])
def test_the_engine_goes_on_with_its_trainings(at_work: Upgraded, name: str) -> None:
    until(lambda: at_work.state(f"{name} at home") == "ready", why=name)


def test_what_a_trainer_of_then_wrote_of_its_progress_is_still_read(at_work: Upgraded) -> None:
    progress = asked(at_work, "/extra/progress", request_id=at_work.job("Trains at home")["request_id"])
    assert progress["loss"][:2] == [[1, 1.0], [2, 0.5]]
    assert progress["held_out"] == {
        "pair": "01",
        "trained_on": False,
        "loss": [[0, 0.9]],
        "weighted_loss": [],
    }
    assert progress["samples"] == [0]


def test_the_engine_keeps_what_it_sent_to_webhooks(at_work: Upgraded) -> None:
    rows = (RELEASE / "engine.sql").read_text(encoding="utf-8")
    hook = re.search(r"'([0-9a-f]{32})','http://127\.0\.0\.1:9/hook'", rows)
    assert hook
    logs = asked(at_work, "/webhook/dispatch-logs", webhook_id=hook[1])["logs"]
    assert {log["status"] for log in logs} == {"DEPLOYING", "AVAILABLE"}
    assert {log["finetune_id"] for log in logs} == {at_work.job("Ready at home")["request_id"]}


def asked(upgraded: Upgraded, path: str, **params: str) -> Any:
    """What the local engine answers to this call."""
    key = (upgraded.portal.data / "engine" / "api-key").read_text()
    address, headers = f"{upgraded.portal.engine_url}{path}", {"x-api-key": key}
    answer = requests.get(address, params=params, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_what_was_cancelled_is_cancelled(at_work: Upgraded) -> None:
    until(lambda: at_work.state("Cancelling") == "failed", why="the worker carries out the wish")
    until(lambda: at_work.state("Cancelled at home") == "failed", why="the engine says so")
    assert at_work.studio.sent("cancel")


def test_a_finished_model_is_downloaded(at_work: Upgraded) -> None:
    job = at_work.job("Ready at home")
    assert sha256(at_work.person("alice").get(f"/jobs/{job['pk']}/download/").content) == job["file_sha256"]
    listed = at_work.call("/finetune/request/list").json()
    address = next(item["cloud_storage_url"] for item in listed if item["name"] == job["name"])
    link = at_work.call("/finetune/request/file/download", params={"cloud_storage_url": address}).text
    assert sha256(requests.get(link, timeout=30).content) == job["file_sha256"]


def test_a_file_that_somebody_waits_for_is_checked(at_work: Upgraded) -> None:
    page = f"/jobs/{at_work.job('Sweep 0.0002')['pk']}/"
    until(lambda: sha256(WEIGHTS) in at_work.person("alice").page(page), why="the worker reads it")


@pytest.mark.parametrize("number", [2, 3])
def test_sealed_keys_open(at_work: Upgraded, number: int) -> None:
    """The providers take only the key that was sealed by the older release."""
    provider = {2: at_work.vendor, 3: at_work.studio}[number]
    before = len(provider.sent("credits"))
    assert at_work.person("ada").post(f"/settings/connections/{number}/test/").ok
    requests_since: list[Request] = provider.sent("credits")[before:]
    assert provider.key in [request.headers["x-api-key"] for request in requests_since]


def test_a_notification_that_was_due_is_sent_and_none_twice(at_work: Upgraded) -> None:
    for to, name, _ in at_work.facts["mails_due"]:
        until(lambda to=to, name=name: len(mails(at_work, to, f"“{name}”")) == 1, why=f"{name} to {to}")
    for subject in at_work.facts["mails_sent"]:
        assert not [mail for mail in at_work.mail.mails if mail["Subject"] == subject], subject


def mails(upgraded: Upgraded, to: str, words: str) -> list[str]:
    subjects = [mail["Subject"] for mail in upgraded.mail.mails if mail["To"] == to]
    return [subject for subject in subjects if subject.startswith(words + " ")]


def test_a_generation_that_waited_is_run_once_and_a_lost_one_never(at_work: Upgraded) -> None:
    numbers = {each["prompt"]: each["pk"] for each in at_work.facts["generations"]}
    alice = at_work.person("alice")
    result = f"/try/runs/{numbers['still waiting']}/result/"
    until(lambda: alice.get(result).content == PICTURE, why="it is run")
    prompts = [request.json["prompt"] for request in at_work.vendor.runs]
    assert prompts == ["still waiting"]
    assert alice.get(f"/try/runs/{numbers['a killed worker']}/result/").status_code == 404


def test_datasets_go_on_to_their_ends(at_work: Upgraded) -> None:
    captions = number_of(at_work, "night")
    alice = at_work.person("alice")
    for number in (number_of(at_work, "checking"), captions + 2):
        until(lambda number=number: digest_on(alice.page(f"/datasets/{number}/")), why=f"dataset {number}")
    digest = digest_on(alice.page(f"/datasets/{captions}/"))
    for provider in (at_work.vendor, at_work.studio):
        until(lambda its=provider: digest in map(sha256, its.stored.values()), why="it is transferred")


def digest_on(page: str) -> str:
    """The SHA-256 that a dataset's page tells once the file is at a provider."""
    match = re.search(r'"([0-9a-f]{64})"', page)
    return match[1] if match else ""


def test_addresses_of_webhooks_still_open(at_work: Upgraded) -> None:
    for hook in at_work.facts["hooks"]:
        body = {"status": "AVAILABLE", "request_id": at_work.job("Ready")["request_id"]}
        assert requests.post(f"{at_work.portal.url}/hooks/{hook}", json=body, timeout=30).status_code == 200
    known = at_work.job("Ready with a curve")["request_id"]
    until(
        lambda: known in [request.json.get("request_id") for request in at_work.studio.sent("details")],
        why="the delivery that waited is looked up",
    )


def test_everything_sealed_can_be_sealed_anew(at_work: Upgraded) -> None:
    """The command fails if one key, address or second factor does not open."""
    old = (at_work.portal.data / "secrets" / "sealing-key").read_text()
    at_work.manage("reseal", PORTAL_SEALING_KEYS=f"a-new-sealing-key-for-tests {old}")
