"""Datasets whose pairs have several input images: which trainers take them, from the form to the provider."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Attempt, Job
from finetune_portal.jobs.sync import submit
from finetune_portal.worker import tasks
from tests.datasets.corpus.zip_builder import packed, several_inputs
from tests.datasets.uploads import upload
from tests.fal.calls import KLEIN, KONTEXT
from tests.fal.server import FakeFal
from tests.gateway.api_client import SUBMIT, TRAINERS, call, error_of, submit_body, token_of
from tests.jobs.test_at_fal import followed_until, transferred
from tests.people import form_data, make_dataset, make_job, signed_in
from tests.provider import breaks
from tests.worker.driving import fresh, send_now, text_of

THREE = packed(several_inputs(3))
SENTENCE = "This dataset has pairs with 3 input images; {} takes 1."
FLUX_3 = "blackforestlabs/flux-3/klein/base/trainer/edit"
QWEN = "fal-ai/qwen-image-edit-2511-trainer"


@pytest.fixture
def three(alice: User) -> Dataset:
    return make_dataset(alice, data=THREE)


def at(connection: Connection, trainer: str, dataset: Dataset, **fields: Any) -> dict[str, Any]:
    chosen = {"connection": connection.pk, "trainer": trainer, "steps": "500"}
    return form_data(dataset, **{**chosen, **fields})


def error_at_dataset(page: str) -> str:
    return page.partition('id="id_dataset_error"')[2].partition(">")[2].partition("<")[0].strip()


@pytest.mark.parametrize("steps", ["300", "300; 600"], ids=["one job", "a sweep"])
def test_one_input_trainers_refuse_it_at_the_field(alice: User, three: Dataset, steps: str) -> None:
    answer = signed_in(alice).post("/jobs/new/", form_data(three, steps=steps))
    assert answer.status_code == 422
    assert error_at_dataset(answer.content.decode()) == SENTENCE.format("FLUX.1 Kontext")
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("trainer", "title"), [(KONTEXT, "FLUX.1 Kontext edit"), (QWEN, "Qwen-Image-Edit-2511 edit")]
)
def test_trainers_of_one_provider_differ(
    alice: User, at_fal: Connection, three: Dataset, trainer: str, title: str
) -> None:
    client = signed_in(alice)
    answer = client.post("/jobs/new/", at(at_fal, trainer, three))
    assert error_at_dataset(answer.content.decode()) == SENTENCE.format(title)
    assert client.post("/jobs/new/", at(at_fal, KLEIN, three)).status_code in (200, 302)
    assert Job.objects.get().trainer == KLEIN


def test_more_than_a_trainer_takes_are_refused(alice: User, at_fal: Connection) -> None:
    five = make_dataset(alice, data=packed(several_inputs(5, pairs=1)))
    answer = signed_in(alice).post("/jobs/new/", at(at_fal, KLEIN, five))
    error = error_at_dataset(answer.content.decode())
    assert error == "This dataset has pairs with 5 input images; FLUX.2 klein 4B edit takes 4."


def test_the_same_form_again_makes_the_same_job(alice: User, dataset: Dataset) -> None:
    """Also where the dataset was checked in between."""
    client, form = signed_in(alice), form_data(dataset)
    client.post("/jobs/new/", form)
    Dataset.objects.update(most_inputs=3)
    assert client.post("/jobs/new/", form).status_code in (200, 302)
    assert Job.objects.count() == 1


def test_a_job_that_was_started_before_the_check_is_not_sent(alice: User) -> None:
    dataset = upload(alice, THREE)
    signed_in(alice).post("/jobs/new/", form_data(dataset))
    job = Job.objects.get()
    assert job.state == State.WAITING
    while Dataset.objects.get().state == Dataset.State.CHECKING:
        assert tasks.check_dataset()
    submit.release_waiting()
    assert fresh(job).state == State.REFUSED
    again = "Train again with changes to select another trainer."
    assert fresh(job).error == f"Not sent. {SENTENCE.format('FLUX.1 Kontext')} {again}"
    assert not job.submit_attempts.exists()


def test_a_queued_job_is_refused_before_the_request(alice: User, at_fal: Connection, fal: FakeFal) -> None:
    """However it came into the queue."""
    three = make_dataset(alice, data=THREE, stored=False)
    job = make_job(alice, State.WAITING, dataset=three, connection=at_fal, trainer=KONTEXT)
    Transfer.objects.create(dataset=three, connection=at_fal)
    transferred(job)
    Job.objects.update(state=State.QUEUED)
    assert submit.send_next()
    assert fresh(job).state == State.REFUSED
    assert SENTENCE.format("FLUX.1 Kontext edit") in fresh(job).error
    assert (fal.jobs, job.submit_attempts.count()) == ([], 0)


def test_it_is_not_sent_again(dana: User, alice: User, three: Dataset) -> None:
    job = make_job(alice, State.NEEDS_DECISION, dataset=three)
    Attempt.objects.create(job=job, outcome=Attempt.Outcome.UNKNOWN)
    page = signed_in(dana).post(f"/jobs/{job.pk}/decide/", {"decision": "resend"}, follow=True)
    assert f"Not sent again. {SENTENCE.format('FLUX.1 Kontext')}" in page.content.decode()
    assert fresh(job).state == State.NEEDS_DECISION


def test_it_moves_to_no_connection_that_does_not_take_it(alice: User, dana: User, three: Dataset) -> None:
    other = connections.add(name="Studio", provider="segmind", key="sg_other", actor=dana)
    job = make_job(alice, State.WAITING, dataset=three)
    answer = signed_in(alice).post(f"/jobs/{job.pk}/connection/", {"connection": other.pk}, follow=True)
    assert SENTENCE.format("FLUX.1 Kontext") in answer.content.decode()
    assert fresh(job).connection != other


def test_the_api_refuses_it(alice: User, at_fal: Connection, three: Dataset) -> None:
    address = f"http://testserver/finetune/uploads/{three.key}/{three.filename}"
    answer = call(token_of(alice, "train"), "POST", SUBMIT, submit_body(address))
    assert answer.status_code == 422
    assert error_of(answer) == f"data_source_path: {SENTENCE.format('FLUX.1 Kontext')}"
    assert not Job.objects.exists()
    named = submit_body(address, trainer=KLEIN, advance_parameters={"steps": 500, "learning_rate": 0.0001})
    assert call(token_of(alice, "train"), "POST", SUBMIT, named).status_code == 200
    rows = json.loads(call(token_of(alice), "GET", TRAINERS).content)
    most = {row["trainer"]: row["most_inputs"] for row in rows}
    assert (most["flux-kontext"], most[KONTEXT], most[KLEIN]) == (1, 1, 4)


def test_the_price_goes_by_the_input_images(alice: User, at_fal: Connection, three: Dataset) -> None:
    """$0.0046 a step times 5.09 (docs/provider-fal.md, 8.2)."""
    query = {"connection": at_fal.pk, "trainer": KLEIN, "steps": "1000", "dataset": three.pk}
    price = " ".join(signed_in(alice).get("/jobs/new/price/", query).content.decode().split())
    assert "About 23.41 USD</strong> a job with up to 3 input images a pair, by the price" in price
    assert "How many models start is not known yet." in price
    query["learning_rate"] = "0.0001; 0.0002"
    price = " ".join(signed_in(alice).get("/jobs/new/price/", query).content.decode().split())
    assert "2 models · about 46.82 USD" in price
    del query["dataset"]
    price = " ".join(signed_in(alice).get("/jobs/new/price/", query).content.decode().split())
    assert "About 9.71 USD</strong> a job with 1 input image a pair, by the price" in price


@pytest.mark.parametrize("inputs", range(5, 10))
def test_a_price_that_nobody_publishes_is_called_unknown(
    alice: User, at_fal: Connection, fal: FakeFal, inputs: int
) -> None:
    """The factors of FLUX 3 for five to nine input images (docs/provider-fal.md, 8.2)."""
    dataset = make_dataset(alice, most_inputs=inputs)
    query = {"connection": at_fal.pk, "trainer": FLUX_3, "steps": "500; 1000", "dataset": dataset.pk}
    price = text_of(signed_in(alice), f"/jobs/new/price/?{urlencode(query)}")
    assert f"Its price with up to {inputs} input images a pair is not known." in price
    assert "by the price" not in price
    Dataset.objects.update(most_inputs=10)
    price = text_of(signed_in(alice), f"/jobs/new/price/?{urlencode(query)}")
    assert "About 23.44 to 46.88 USD</strong> a job with up to 10 input images a pair" in price
    fal.script("pricing", *[breaks(taken=False)] * 2)
    Dataset.objects.update(most_inputs=4)
    price = text_of(signed_in(alice), f"/jobs/new/price/?{urlencode(query)}")
    assert "Its price is not known now." in price, "as fal does not answer"


def test_the_form_asks_for_the_price_when_its_dataset_is_checked(
    alice: User, dana: User, at_fal: Connection
) -> None:
    connections.make_default(at_fal, actor=dana)
    client = signed_in(alice)
    assert "dataset-settled from:body" in client.get("/jobs/new/").content.decode()
    row = make_dataset(alice, data=THREE)
    settled = client.get(f"/datasets/{row.pk}/status/", headers={"HX-Request": "true"})
    assert settled.headers["HX-Trigger"] == '{"dataset-settled": {}}'
    Dataset.objects.update(state=Dataset.State.CHECKING)
    checking = client.get(f"/datasets/{row.pk}/status/", headers={"HX-Request": "true"})
    assert "HX-Trigger" not in checking.headers


def test_a_job_at_fal_trains_all_of_them(alice: User, at_fal: Connection, fal: FakeFal) -> None:
    three = make_dataset(alice, data=THREE, stored=False)
    signed_in(alice).post("/jobs/new/", at(at_fal, KLEIN, three))
    job = Job.objects.get()
    transferred(job)
    job = send_now(job)
    (paid,) = fal.jobs
    assert fal.fetch(paid.dataset, "image_data_url") == THREE, "byte for byte"
    job = followed_until(job, State.READY)
    assert paid.inputs == 3
    assert job.estimated_cost == pytest.approx(float(fal.charged), abs=0.01)


def test_a_folder_of_them_goes_to_fal_in_the_plain_layout(
    alice: User, at_fal: Connection, fal: FakeFal
) -> None:
    files = {f"set/{name}": content for name, content in several_inputs(3).items()}
    dataset = make_dataset(alice, data=packed(files), stored=False)
    signed_in(alice).post("/jobs/new/", at(at_fal, KLEIN, dataset))
    job = Job.objects.get()
    transferred(job)
    followed_until(send_now(job), State.READY)
    assert fal.jobs[0].inputs == 3
