"""Run a model that was trained at fal: one paid request, by the address of its weights."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.costs.models import Cost
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from finetune_portal.playground import bills, generate
from finetune_portal.playground.models import AwaitedBill, Generation
from finetune_portal.providers.contract import GenerateRequest, Handle, OnAccepted
from finetune_portal.providers.fal import inference
from finetune_portal.providers.fal.adapter import FalAdapter
from finetune_portal.providers.http import paid_run
from tests.fal.account import trained
from tests.fal.calls import KLEIN, KONTEXT
from tests.fal.server import FakeFal
from tests.fal.switches import Failure
from tests.people import HTMX, signed_in
from tests.playground.conftest import content, form, fresh, ordered, run_task
from tests.provider import PICTURE, says
from tests.worker.driving import text_of

RUN = "fal-ai/flux-2/klein/4b/base/edit/lora"


@pytest.fixture(autouse=True)
def quick(fal: FakeFal, monkeypatch: pytest.MonkeyPatch) -> None:
    fal.steps = ("IN_QUEUE", "COMPLETED")
    monkeypatch.setattr(paid_run, "FIRST_PAUSE", 0.01)


@pytest.fixture
def model(alice: User, at_fal: Connection, fal: FakeFal, dataset: Dataset) -> Job:
    return trained(alice, at_fal, fal, dataset=dataset)


def run(owner: User, job: Job, **fields: Any) -> Generation:
    """A generation after everything that the worker does for it by itself."""
    numbers = {"steps": "", "guidance": "", **fields}
    generation = ordered(signed_in(owner), job, **numbers)
    assert run_task()
    assert not run_task(), "and nothing is left to do"
    return fresh(generation)


def test_a_picture_is_made_by_one_request_and_shown(alice: User, model: Job, fal: FakeFal) -> None:
    generation = run(alice, model, strength="0.8", prompt="make it rain")
    assert generation.state == "done", generation.error
    (post,) = fal.sent("submit")
    assert post.path == f"/{RUN}"
    (image,) = post.json.pop("image_urls")
    assert image.startswith(fal.cdn_url)
    assert post.json["loras"] == [{"path": model.cloud_storage_url, "scale": 0.8}]
    assert (post.json["prompt"], post.json["seed"]) == ("make it rain", 7)
    client = signed_in(alice)
    html = text_of(client, f"/jobs/{model.pk}/")
    assert "Result of the model: make it rain" in html
    assert "Strength 0.8 · seed 7 · took" in " ".join(html.split())
    assert content(client.get(f"/try/runs/{generation.pk}/large.webp")).startswith(b"RIFF")
    assert content(client.get(f"/try/runs/{generation.pk}/result/")) == PICTURE


def test_steps_and_guidance_are_the_models_own_unless_typed(alice: User, model: Job, fal: FakeFal) -> None:
    run(alice, model)
    run(alice, model, steps="20", guidance="3")
    own, typed = (request.json for request in fal.sent("submit"))
    assert not own.keys() & {"num_inference_steps", "guidance_scale"}
    assert (typed["num_inference_steps"], typed["guidance_scale"]) == (20, 3)
    assert "20 steps · guidance 3" in text_of(signed_in(alice), f"/jobs/{model.pk}/")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"strength": "5"}, "Enter a number from 0 to 4."),
        ({"strength": "-1"}, "Enter a number from 0 to 4."),
        ({"steps": "3"}, "Enter a number from 4 to 50."),
    ],
)
def test_what_the_model_does_not_take_is_refused_at_once(
    alice: User, model: Job, fields: dict[str, Any], says: str
) -> None:
    """Fal would find it when the run is charged."""
    answer = signed_in(alice).post(f"/jobs/{model.pk}/try/", form(**fields), headers=HTMX)
    assert (answer.status_code, says in answer.content.decode()) == (422, True)
    assert not Generation.objects.exists()


def test_the_page_says_who_pays_and_no_price(alice: User, model: Job) -> None:
    html = text_of(signed_in(alice), f"/jobs/{model.pk}/")
    assert 'value="The account at “fal” pays for each run. The portal asks once on this page."' in html
    assert "USD" not in html[html.index('id="playground"') :]
    assert "From 0 to 4." in html[html.index('name="strength"') :]


def test_a_lost_answer_waits_for_a_person(alice: User, model: Job, fal: FakeFal) -> None:
    fal.loses_answer = True
    generation = run(alice, model)
    assert generation.state == "unconfirmed"
    assert generation.error.startswith("The answer was lost.")
    assert "may have been charged" in generation.error
    assert len(fal.sent("submit")) == len(fal.jobs) == 1
    fal.loses_answer = False
    client = signed_in(alice)
    assert "the run may be charged a second time" in text_of(client, f"/jobs/{model.pk}/")
    client.post(f"/try/runs/{generation.pk}/again/")
    assert run_task()
    assert fresh(generation).state == "done"


def test_a_request_that_never_left_is_sent_again(alice: User, model: Job, fal: FakeFal) -> None:
    fal.busy_on = ("submit",)
    generation = ordered(signed_in(alice), model)
    run_task()
    assert fresh(generation).state == "queued"
    assert fal.jobs == []
    fal.busy_on = ()
    model.connection.calls.all().delete()
    Connection.objects.update(calls_left=None, calls_reset_at=None, calls_learned=None)
    run_task()
    assert fresh(generation).state == "done"
    assert len(fal.jobs) == 1


def test_a_locked_account_is_charged_nothing(alice: User, model: Job, fal: FakeFal) -> None:
    fal.locked_on = ("submit",)
    generation = run(alice, model)
    assert generation.state == "failed"
    assert "fal has locked the account" in generation.error
    assert generation.error.endswith("Nothing was charged.")
    assert fal.jobs == []


def test_an_account_that_is_locked_during_the_run_may_be_charged(
    alice: User, model: Job, fal: FakeFal
) -> None:
    fal.locked_on = ("status",)
    generation = run(alice, model)
    assert generation.state == "unconfirmed"
    assert "fal has locked the account" in generation.error
    assert "may have been charged" in generation.error


def test_a_run_that_fails_at_fal_says_why(alice: User, model: Job, fal: FakeFal) -> None:
    fal.failure = Failure()
    generation = run(alice, model)
    assert generation.state == "failed"
    assert "fal lost the machine that ran it." in generation.error
    assert generation.error.endswith("It may have been charged.")
    assert "The answer was lost" not in generation.error


@pytest.mark.parametrize(
    ("fault", "state", "says"),
    [
        ("cut", "unconfirmed", "fal made the picture, but the portal cannot download it from there."),
        ("short", "failed", "something that is not a readable picture"),
    ],
)
def test_a_picture_that_does_not_arrive_whole(
    alice: User, model: Job, fal: FakeFal, fault: str, state: str, says: str
) -> None:
    fal.file_fault = fault
    generation = run(alice, model)
    assert (generation.state, says in generation.error) == (state, True)
    assert len(fal.sent("submit")) == 1
    assert not generation.path.exists()


def test_weights_that_are_gone_are_not_paid_for(alice: User, model: Job, fal: FakeFal) -> None:
    fal.files.stored.clear()
    generation = run(alice, model)
    assert generation.state == "failed"
    assert generation.error == (
        "The provider no longer has the file of this model, so it cannot be run. Nothing was charged."
    )
    assert fal.sent("submit") == []
    html = text_of(signed_in(alice), f"/jobs/{model.pk}/")
    assert "playground-form" not in html
    assert "The provider no longer has the file of this model, so it cannot be run." in html
    answer = signed_in(alice).post(f"/jobs/{model.pk}/try/", form())
    assert answer.status_code == 422


def test_a_lora_that_no_model_runs_is_not_offered(
    alice: User, at_fal: Connection, fal: FakeFal, dataset: Dataset
) -> None:
    flux_3 = "blackforestlabs/flux-3/klein/base/trainer/edit"
    job, client = trained(alice, at_fal, fal, dataset=dataset, trainer=flux_3), signed_in(alice)
    assert "Try it" not in text_of(client, f"/jobs/{job.pk}/")
    assert "“fal” has no model that runs this LoRA" in text_of(client, f"/jobs/{job.pk}/try/")


def test_the_base_model_is_shown_for_comparison(alice: User, model: Job, fal: FakeFal) -> None:
    generation = run(alice, model)
    signed_in(alice).post(f"/try/runs/{generation.pk}/without-lora/")
    run_task()
    first, second = (request.json for request in fal.sent("submit"))
    assert (first.pop("loras")[0]["scale"], second.pop("loras")[0]["scale"]) == (1, 0)
    assert first == second


def test_models_of_two_base_models_are_compared_with_each_base(
    alice: User, at_fal: Connection, fal: FakeFal, dataset: Dataset
) -> None:
    jobs = [
        trained(alice, at_fal, fal, dataset=dataset, trainer=trainer, name=name)
        for name, trainer in (("Blue", KLEIN), ("Red", KLEIN), ("White", KONTEXT))
    ]
    client = signed_in(alice)
    html = text_of(client, "/try/?" + "&".join(f"job={job.pk}" for job in jobs))
    assert "This makes 5 pictures. The account at “fal” pays for each run." in html
    assert "3 models and the base models, with the same seed." in " ".join(html.split())
    data = form(job=[job.pk for job in jobs], steps="9")
    assert "Enter a number from 10 to 50." in client.post("/try/", data).content.decode()
    answer = client.post("/try/", form(job=[job.pk for job in jobs], steps="", guidance=""))
    assert answer.status_code == 302
    while run_task():
        pass
    assert len(fal.jobs) == 5
    html = text_of(client, answer.headers["Location"])
    assert "Without a LoRA: FLUX.2 klein 4B base" in html
    assert "Without a LoRA: FLUX.1 Kontext [dev]" in html


@pytest.fixture
def billed(fal: FakeFal, settings: Any) -> None:
    settings.PROVIDER_ADMIN_KEYS = {"fal": fal.admin_key}


def ask_for_bills() -> None:
    AwaitedBill.objects.update(due_at=now())
    while bills.ask_next():
        AwaitedBill.objects.update(due_at=now() + timedelta(minutes=1))


@pytest.mark.usefixtures("billed")
def test_a_run_has_its_bill_and_it_prices_the_next(alice: User, model: Job, fal: FakeFal) -> None:
    fal.script("billing_events", says(200, {"billing_events": [], "has_more": False}))
    generation = run(alice, model)
    ask_for_bills()
    cost = Cost.objects.get()
    assert (cost.state, cost.bill, AwaitedBill.objects.count()) == ("unbilled", None, 1), "it comes late"
    ask_for_bills()
    cost.refresh_from_db()
    assert fal.charged > 0
    assert (cost.state, cost.bill, cost.currency, cost.bill_source) == ("billed", fal.charged, "USD", "bill")
    assert not AwaitedBill.objects.exists()
    shown = f"cost {float(fal.charged):g} USD"
    assert shown in " ".join(text_of(signed_in(alice), f"/jobs/{model.pk}/").split())
    assert fresh(generation).currency == "USD"
    run(alice, model)
    assert Cost.objects.latest("pk").estimate == cost.bill


@pytest.mark.usefixtures("billed")
@pytest.mark.parametrize("end", ["fails", "is deleted", "is locked out of"])
def test_whatever_became_of_a_run_its_bill_counts(alice: User, model: Job, fal: FakeFal, end: str) -> None:
    fal.failures_cost = True
    fal.failure = Failure() if end == "fails" else None
    fal.locked_on = ("status",) if end == "is locked out of" else ()
    generation = run(alice, model)
    if end == "is deleted":
        signed_in(alice).post(f"/try/runs/{generation.pk}/delete/")
    if end == "is locked out of":
        fal.finish(fal.jobs[0])
    ask_for_bills()
    cost = Cost.objects.get()
    assert (cost.state, cost.bill) == ("billed", fal.jobs[0].cost)


@pytest.mark.usefixtures("billed")
def test_a_run_without_a_bill_is_asked_for_no_longer_than_a_day(
    alice: User, model: Job, fal: FakeFal, settings: Any
) -> None:
    run(alice, model)
    settings.PROVIDER_ADMIN_KEYS = {"fal": "a-wrong:admin-key"}
    ask_for_bills()
    assert AwaitedBill.objects.count() == 1
    asked = len(fal.sent("billing_events"))
    ask_for_bills()
    assert len(fal.sent("billing_events")) == asked == 1, "the poll tries a refused key"
    AwaitedBill.objects.update(created_at=now() - timedelta(days=2))
    ask_for_bills()
    assert AwaitedBill.objects.count() == 1, "it is not given up for the key"
    settings.PROVIDER_ADMIN_KEYS = {"fal": fal.admin_key}
    Connection.objects.update(admin_key_failure="")
    fal.script("billing_events", says(200, {"billing_events": [], "has_more": False}))
    ask_for_bills()
    assert not AwaitedBill.objects.exists()
    assert Cost.objects.get().state == "unbilled"


def test_without_an_admin_key_no_bill_is_awaited(alice: User, model: Job, fal: FakeFal) -> None:
    run(alice, model)
    assert not AwaitedBill.objects.exists()
    assert not bills.ask_next()


@pytest.mark.usefixtures("billed")
def test_a_run_that_is_deleted_while_it_is_made_has_its_bill(
    alice: User, model: Job, fal: FakeFal, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = ordered(signed_in(alice), model)
    meanwhile(
        monkeypatch, lambda: signed_in(alice).post(f"/try/runs/{generation.pk}/delete/").status_code == 302
    )
    assert run_task()
    assert not Generation.objects.exists()
    cost = Cost.objects.get()
    assert cost.state == "unbilled"
    ask_for_bills()
    cost.refresh_from_db()
    assert (cost.state, cost.bill) == ("billed", fal.charged)


@pytest.mark.usefixtures("billed")
def test_the_bill_of_a_run_whose_worker_stood_still_is_not_that_of_the_next_run(
    alice: User, model: Job, fal: FakeFal, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = ordered(signed_in(alice), model)

    def is_run_again() -> bool:
        Generation.objects.update(lease_expires_at=now() - timedelta(minutes=1))
        generate._recover()
        return signed_in(alice).post(f"/try/runs/{generation.pk}/again/").status_code == 302

    meanwhile(monkeypatch, is_run_again)
    run_task()
    ask_for_bills()
    first, second = Cost.objects.order_by("number")
    assert (first.state, first.bill) == ("billed", fal.jobs[0].cost)
    assert second.bill is None or len(fal.jobs) == 2


@pytest.mark.usefixtures("billed")
def test_a_run_whose_worker_is_killed_while_it_waits_has_its_bill(
    alice: User, model: Job, fal: FakeFal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed process does not do is left out: all after the model was accepted."""
    ordered(signed_in(alice), model)
    awaited: list[str] = []

    def wait(*_: Any) -> None:
        awaited.extend(AwaitedBill.objects.values_list("cost__state", flat=True))

    monkeypatch.setattr(inference, "wait_for", wait)
    run_task()
    assert awaited == ["reserved"], "its bill is awaited before its picture"


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], bool]) -> None:
    """Do this once, when the first run was accepted and before the worker notes it."""
    make, acts = FalAdapter.generate, [act]

    def make_and_change(adapter: FalAdapter, request: GenerateRequest, on_accepted: OnAccepted) -> bytes:
        def note(handle: Handle) -> None:
            assert all(acts.pop()() for _ in list(acts))
            on_accepted(handle)

        return make(adapter, request, note)

    monkeypatch.setattr(FalAdapter, "generate", make_and_change)
