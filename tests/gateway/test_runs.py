"""Run models by their slugs with a personal token: what is taken, refused, limited, repeated and recorded.

The calls are answered here before the run ends, as nothing waits in this process; test_runs_served.py waits.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from finetune_portal.playground import inputs
from finetune_portal.playground.models import Generation, Input
from tests.fal.account import trained
from tests.fal.server import FakeFal
from tests.gateway.api_client import ALL, DETAILS, call, error_of, token_of
from tests.people import make_job
from tests.playground.conftest import SLUG, image, job, provider, run_task
from tests.provider import PICTURE, ScriptedProvider, breaks, says

__all__ = ["job", "provider"]

T = TypeVar("T")
RUN = f"/v1/{SLUG}"
SUBMIT = f"/v2/{SLUG}"
ASSET = "/upload-asset"
RIGHTS = (*ALL, "run")


def data_uri(content: bytes = b"") -> str:
    return f"data:image/png;base64,{base64.b64encode(content or image()).decode()}"


def body(**changes: Any) -> dict[str, Any]:
    fields = {"prompt": "turn day into night", "input_image": data_uri(), **changes}
    return {name: value for name, value in fields.items() if value is not None}


@pytest.fixture
def token(alice: User) -> str:
    return token_of(alice, "run")


def run(token: str, path: str = RUN, *, key: str = "", **changes: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return call(token, "POST", path, body(**changes), **headers)


def path_of(url: str) -> str:
    return url.removeprefix("http://testserver")


def test_a_run_is_queued_and_its_picture_fetched(
    token: str, job: Job, provider: ScriptedProvider, alice: User
) -> None:
    provider.script("run", says(200, PICTURE, x_cost="0.04"))
    answer = run(token, seed=7, lora_strength=0.8, num_inference_steps=20.0, guidance=3)
    assert answer.status_code == 202
    begun = answer.json()
    assert begun["status"] == "QUEUED"
    assert answer.headers["Location"] == begun["response_url"] == begun["poll_url"]
    assert call(token, "GET", path_of(begun["status_url"])).json() == begun

    while run_task():
        pass
    (paid,) = provider.runs
    assert paid.path == f"/v1/{job.slug}"
    sent = {
        name: paid.json[name]
        for name in ("prompt", "lora_strength", "seed", "num_inference_steps", "guidance")
    }
    assert list(sent.values()) == ["turn day into night", 0.8, 7, 20, 3]
    generation = Generation.objects.get()
    assert (generation.owner, generation.job) == (alice, job)

    result = call(token, "GET", path_of(begun["response_url"])).json()
    assert (result["status"], result["seed"], result["slug"]) == ("COMPLETED", 7, SLUG)
    assert (result["metrics"]["cost"], result["metrics"]["currency"]) == (0.04, "credits")
    picture = Client().get(path_of(result["output"]))  # without a token
    assert (picture.content, picture.headers["Content-Type"]) == (PICTURE, "image/png")
    assert result["request_id"] == begun["request_id"] == str(generation.key)


def test_what_is_left_out_is_left_to_the_model(token: str, job: Job, provider: ScriptedProvider) -> None:
    run(token)
    run_task()
    (paid,) = provider.runs
    assert not paid.json.keys() & {"num_inference_steps", "guidance"}
    assert paid.json["lora_strength"] == 1
    assert isinstance(paid.json["seed"], int)


def test_a_form_and_a_body_of_curl_do_as_well(token: str, job: Job) -> None:
    assert call(token, "POST", RUN, body(seed="7"), form=True).status_code == 202
    urlencoded = Client().generic(
        "POST",
        RUN,
        json.dumps(body(seed=8)),
        "application/x-www-form-urlencoded",
        headers={"x-api-key": token},
    )
    assert urlencoded.status_code == 202
    assert set(Generation.objects.values_list("seed", flat=True)) == {7, 8}


@pytest.mark.parametrize(
    ("changes", "says_so"),
    [
        ({"prompt": None}, "prompt is missing."),
        ({"input_image": None}, "input_image is missing."),
        ({"input_image": "data:image/png;base64,%%%"}, "input_image: This is no data: URI"),
        ({"input_image": data_uri(b"no picture")}, "input_image: This is not a readable picture."),
        ({"input_image": "http://127.0.0.1/a.png"}, "input_image: This address is in a private network."),
        ({"input_image": "file:///etc/passwd"}, "input_image: This is not a web address."),
        (
            {"input_image": f"http://testserver/assets/{'0' * 64}.png"},
            "input_image: The portal no longer has",
        ),
        ({"lora_strength": 11}, "lora_strength: Ensure this value"),
        ({"num_inference_steps": 0}, "num_inference_steps: "),
        ({"num_inference_steps": 1.5}, "num_inference_steps: "),
        ({"seed": -1}, "seed: "),
        ({"seed": True}, "seed: "),
        ({"guidance": "much"}, "guidance: "),
        ({"output_format": "jpg"}, "output_format must be png"),
        ({"aspect_ratio": "1:1"}, "aspect_ratio must be match_input_image"),
        ({"negative_prompt": "rain"}, "negative_prompt: there is no such field."),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_started(
    token: str, job: Job, changes: dict[str, Any], says_so: str
) -> None:
    answer = run(token, **changes)
    assert (answer.status_code, says_so in error_of(answer)) == (422, True), error_of(answer)
    assert not Generation.objects.exists()


def test_an_uploaded_picture_is_named_by_its_url(token: str, job: Job, provider: ScriptedProvider) -> None:
    urls = call(token, "POST", ASSET, {"data_urls": [data_uri(), data_uri(image("JPEG"))]}).json()[
        "file_urls"
    ]
    assert len(set(urls)) == 2
    assert call("", "GET", path_of(urls[0])).status_code == 404, "it names the picture and opens nothing"
    assert run(token, input_image=urls[0]).status_code == 202
    run_task()
    assert provider.runs[0].json["input_image"].startswith(provider.url)
    event = AuditEvent.objects.filter(action="picture.upload").first()
    assert event
    assert event.detail == {"token": f"nightly …{token[-4:]}"}


@pytest.mark.parametrize("uris", [None, [], "data:", [data_uri()] * 11, ["https://example.com/a.png"]])
def test_what_is_no_list_of_pictures_is_refused(token: str, uris: Any) -> None:
    assert call(token, "POST", ASSET, {"data_urls": uris}).status_code == 422
    assert not Input.objects.exists()


def test_an_uploaded_picture_that_nobody_uses_goes_after_a_day(token: str, job: Job) -> None:
    url = call(token, "POST", ASSET, {"data_urls": [data_uri()]}).json()["file_urls"][0]
    assert not inputs.clear_unused()
    run(token, input_image=url)
    Input.objects.update(created_at=now() - timedelta(days=2))
    assert not inputs.clear_unused(), "a run uses it"
    Generation.objects.all().delete()
    path = Input.objects.get().path
    call(token, "POST", ASSET, {"data_urls": [data_uri()]})
    assert not inputs.clear_unused(), "it was uploaded again"
    Input.objects.update(created_at=now() - timedelta(days=2))
    assert inputs.clear_unused()
    assert not path.exists()
    assert run(token, input_image=url).status_code == 422


@pytest.mark.parametrize("path", [RUN, SUBMIT, ASSET])
def test_without_the_right_nothing_runs(alice: User, charlie: User, job: Job, path: str) -> None:
    fields = body(data_urls=[data_uri()])
    answer = call(token_of(alice, *ALL), "POST", path, fields)
    assert (answer.status_code, error_of(answer)) == (
        403,
        "This token may not run models. Make one with this right on the page /tokens/.",
    )
    viewer = call(token_of(charlie, "run"), "POST", path, fields)
    assert (viewer.status_code, "Viewers can look" in error_of(viewer)) == (403, True)
    assert call("ftp_nobody", "POST", path, fields).status_code == 401
    assert not Generation.objects.exists()
    assert not Input.objects.exists()


def test_everyone_who_reads_sees_a_run(alice: User, bob: User, charlie: User, token: str, job: Job) -> None:
    urls = run(token, seed=1).json()
    for person in (alice, bob, charlie):
        for name in ("status_url", "response_url"):
            assert call(token_of(person), "GET", path_of(urls[name])).status_code == 200
    assert call("", "GET", path_of(urls["status_url"])).status_code == 401
    missing = path_of(urls["status_url"]).replace(urls["request_id"], "0" * 8 + urls["request_id"][8:])
    assert call(token, "GET", missing).status_code == 404


def test_a_maker_runs_a_model_of_another(bob: User, job: Job) -> None:
    assert run(token_of(bob, "run")).status_code == 202
    assert Generation.objects.get().owner == bob


def test_a_slug_that_nobody_knows_is_not_found(token: str, job: Job) -> None:
    for path in ("/v1/nothing", "/v1/-", f"/v1/x-{job.nonce}", "/v2/nothing"):
        assert run(token, path).status_code == 404


def test_a_model_that_cannot_run_says_why(token: str, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(is_simulated=True)
    answer = run(token)
    assert (answer.status_code, "only simulated" in error_of(answer)) == (409, True)
    Job.objects.filter(pk=job.pk).update(is_simulated=False, state="training")
    answer = run(token)
    assert (answer.status_code, "is not ready" in error_of(answer)) == (409, True)
    assert not Generation.objects.exists()


def in_one_minute(calls: Callable[[], T]) -> T:
    """Call again from the start where another minute of the clock began in between: the limit is by these."""
    while True:
        minute, answers = time.time() // 60, calls()
        if time.time() // 60 == minute:
            return answers
        Generation.objects.all().delete()


def test_a_person_starts_so_many_runs_a_minute(alice: User, bob: User, job: Job, settings: Any) -> None:
    settings.RUNS_A_MINUTE = 2
    tokens = [token_of(alice, "run", name=name) for name in ("one", "two", "three")]
    answers = in_one_minute(lambda: [run(token, seed=1) for token in tokens])
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert 0 < int(answers[2].headers["Retry-After"]) <= 60
    assert "Nothing was started." in error_of(answers[2])
    assert Generation.objects.count() == 2
    assert run(token_of(bob, "run")).status_code == 202


def test_not_too_many_wait_at_once(token: str, job: Job) -> None:
    statuses = [run(token, seed=seed).status_code for seed in range(9)]
    assert statuses == [202] * 8 + [429]
    assert run(token).headers["Retry-After"]


def test_a_repeated_call_joins_its_run(token: str, job: Job, provider: ScriptedProvider) -> None:
    first = run(token, key="a", prompt="make it rain")
    again = run(token, key="a", prompt="make it rain")
    assert first.json() == again.json()
    while run_task():
        pass
    done = run(token, key="a", prompt="make it rain")
    assert (done.status_code, done.content) == (200, PICTURE)
    assert done.headers["x-seed-value"] == str(Generation.objects.get().seed)
    assert len(provider.runs) == 1
    assert run(token, key="b", prompt="make it rain").status_code == 202, "another key, another run"


@pytest.mark.parametrize(
    "changes",
    [{"prompt": "b"}, {"lora_strength": 0}, {"seed": 9}, {"input_image": data_uri(image(colour="red"))}],
)
def test_a_key_that_belongs_to_another_run_starts_nothing(
    token: str, job: Job, changes: dict[str, Any]
) -> None:
    run(token, key="a", seed=7)
    answer = run(token, **{"key": "a", "seed": 7, **changes})
    assert (answer.status_code, "Idempotency-Key" in error_of(answer)) == (422, True)
    assert Generation.objects.count() == 1


def test_two_people_may_have_the_same_key(token: str, bob: User, job: Job) -> None:
    assert run(token, key="a").json()["request_id"] != run(token_of(bob, "run"), key="a").json()["request_id"]


def test_a_lost_answer_is_not_paid_twice(token: str, job: Job, provider: ScriptedProvider) -> None:
    provider.script("run", breaks(taken=True))
    urls = run(token, key="a").json()
    while run_task():
        pass
    for answer in (run(token, key="a"), call(token, "GET", path_of(urls["status_url"]))):
        assert answer.status_code == 422, "which no client repeats by itself"
        said = answer.json()
        assert (said["status"], said["answer_lost"]) == ("FAILED", True)
        assert said["error"].startswith("The answer was lost.")
        assert said["error"].endswith("It may have been charged.")
    assert not run_task()
    assert len(provider.runs) == 1


def test_a_refused_run_says_why(token: str, job: Job, provider: ScriptedProvider) -> None:
    provider.script("run", says(422, {"error": "The prompt is empty."}))
    urls = run(token).json()
    while run_task():
        pass
    said = call(token, "GET", path_of(urls["response_url"]))
    assert (said.status_code, said.json()["status"], said.json()["answer_lost"]) == (422, "FAILED", False)
    assert "Nothing was charged." in said.json()["error"]


def test_equal_runs_are_paid_once_where_that_is_set(
    token: str, bob: User, job: Job, provider: ScriptedProvider, settings: Any
) -> None:
    settings.RUN_REUSE_SECONDS = 60
    first = run(token, seed=7).json()
    assert run(token_of(bob, "run"), seed=7).json() == first, "also while it is made"
    while run_task():
        pass
    assert run(token, seed=7).content == PICTURE
    assert run(token).status_code == 202, "without a seed each run is one of its own"
    assert run(token, seed=7, prompt="another").status_code == 202
    Generation.objects.update(created_at=now() - timedelta(seconds=61))
    assert run(token, seed=7).status_code == 202
    assert Generation.objects.count() == 4


def test_without_that_setting_each_call_is_a_run(token: str, job: Job) -> None:
    assert run(token, seed=7).json()["request_id"] != run(token, seed=7).json()["request_id"]


def test_the_record_has_each_run_without_its_content(token: str, alice: User, job: Job) -> None:
    run(token, seed=7, prompt="a secret wish", key="a")
    run(token, seed=7, prompt="a secret wish", key="a")
    event = AuditEvent.objects.get(action="model.run")
    assert (event.actor, event.thing) == (alice, f"job {job.pk}")
    assert event.detail == {
        "name": job.name,
        "strength": 1,
        "seed": 7,
        "token": f"nightly …{token[-4:]}",
    }
    assert event.address == "127.0.0.1"


def test_who_accepts_json_alone_gets_json(token: str, job: Job) -> None:
    run(token, key="a")
    while run_task():
        pass
    answers = {
        accept: call(token, "POST", RUN, body(), **{"Idempotency-Key": "a", "Accept": accept})
        for accept in ("application/json", "application/json, text/plain, */*", "image/png", "*/*")
    }
    kinds = {accept: answer.headers["Content-Type"] for accept, answer in answers.items()}
    assert kinds.pop("application/json") == "application/json"
    assert set(kinds.values()) == {"image/png"}
    assert answers["application/json"].json()["output"].startswith("http://testserver/v2/requests/")


def test_the_url_of_a_picture_is_signed_and_ends(
    token: str, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = run(token, key="a").json()["request_id"]
    while run_task():
        pass
    url = path_of(call(token, "GET", f"/v2/requests/{request_id}").json()["output"])
    assert Client().get(url).status_code == 200
    assert Client().get(url[:-1]).status_code == 403
    assert Client().get(url.partition("?")[0], headers={"x-api-key": token}).status_code == 403
    other = Generation.objects.get()
    Generation.objects.all().delete()
    assert Client().get(url).status_code == 404
    assert other.path.exists()
    monkeypatch.setattr("finetune_portal.gateway.generations.responses.MAX_AGE", -1)
    assert Client().get(url).status_code == 403


def test_a_model_at_fal_runs_by_a_slug_of_the_portal(
    alice: User, token: str, at_fal: Connection, fal: FakeFal, dataset: Dataset
) -> None:
    fal.steps = ("IN_QUEUE", "COMPLETED")
    model = trained(alice, at_fal, fal, dataset=dataset, name="Räd hair!")
    assert model.run_slug == f"rad-hair-{model.nonce}"
    details = call(token, "GET", DETAILS, {"request_id": str(model.form_key)}).json()["finetune"]
    assert details["slug"] == model.run_slug
    Job.objects.filter(pk=model.pk).update(name="Another")  # which leaves the slug of before as good
    urls = run(token, f"/v1/{details['slug']}", seed=7).json()
    while run_task():
        pass
    result = call(token, "GET", path_of(urls["response_url"])).json()
    assert (result["status"], result["metrics"]["cost"]) == ("COMPLETED", None), result
    (post,) = fal.sent("submit")
    assert post.json["loras"] == [{"path": model.cloud_storage_url, "scale": 1}]
    assert "num_inference_steps" not in post.json
    for changes, says_so in (
        ({"lora_strength": 5}, "lora_strength: Enter a number from 0 to 4."),
        ({"num_inference_steps": 3}, "num_inference_steps: Enter a number from 4 to 50."),
    ):
        answer = run(token, f"/v1/{model.run_slug}", **changes)
        assert (answer.status_code, error_of(answer)) == (422, says_so)


def test_a_job_without_a_slug_at_segmind_has_none(alice: User, db: None) -> None:
    connections.built_in()
    assert make_job(alice, "queued").run_slug == ""
    assert make_job(alice, "ready", slug="0f-a").run_slug == "0f-a"
