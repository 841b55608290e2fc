"""The form for a training, /jobs/new/."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets import sample
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job, Limits
from tests.people import HTMX, form_data, make_dataset, make_job, signed_in
from tests.worker.driving import text_of

URL = "/jobs/new/"


def test_it_starts_a_job(alice: User, dataset: Dataset) -> None:
    response = signed_in(alice).post(URL, form_data(dataset, wants_public="on"))
    job = Job.objects.get()
    assert response.headers["Location"] == f"/jobs/{job.pk}/"
    assert (job.owner, job.dataset, job.state) == (alice, dataset, "queued")
    assert (job.learning_rate, job.steps, job.wants_public) == (0.0004, 300, True)
    assert AuditEvent.objects.get().action == "job.start"
    assert [event.text for event in job.events.all()] == ["Started"]


def test_htmx_is_led_to_the_job(alice: User, dataset: Dataset) -> None:
    response = signed_in(alice).post(URL, form_data(dataset), headers=HTMX)
    place = json.loads(response.headers["HX-Location"])
    assert (place["path"], place["target"]) == (f"/jobs/{Job.objects.get().pk}/", "#main")


def test_the_same_form_twice_is_one_job(alice: User, dataset: Dataset) -> None:
    client, data = signed_in(alice), form_data(dataset)
    first, second = client.post(URL, data), client.post(URL, data)
    assert first.headers["Location"] == second.headers["Location"]
    assert Job.objects.count() == 1


def test_a_job_waits_for_a_dataset_that_is_still_on_its_way(alice: User) -> None:
    dataset = make_dataset(alice, stored=False, state=Dataset.State.RECEIVING, received=10)
    signed_in(alice).post(URL, form_data(dataset))
    assert Job.objects.get().state == "waiting"


def test_a_file_may_come_with_the_form_itself(alice: User) -> None:
    file = SimpleUploadedFile("night.zip", sample.make(), "application/zip")
    signed_in(alice).post(URL, form_data(file=file))
    job = Job.objects.get()
    assert job.dataset
    assert job.dataset.path.read_bytes() == sample.make()
    assert job.dataset.state == Dataset.State.CHECKING


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("name", "", "Enter a name for the job."),
        ("name", "\u202e", "Enter a name for the job."),
        ("learning_rate", "fast", "Enter the learning rate as a number"),
        ("learning_rate", "0", "Too small to learn anything"),
        ("learning_rate", "nan", "Enter the learning rate as a number"),
        ("learning_rate", "3", "Too large"),
        ("learning_rate", "", "Enter a learning rate"),
        ("steps", "12.5", "Enter the steps as a whole number"),
        ("steps", "0", "Enter at least 1 step"),
        ("steps", "999999", "Enter at most 20,000 steps"),
        ("dataset", "", "Drop a ZIP file or select a dataset"),
        ("dataset", "4711", "This dataset was rejected or deleted"),
        ("machine_type", "ABACUS", "not one of the available choices"),
    ],
)
def test_a_bad_field_is_told_and_nothing_typed_is_lost(
    alice: User, dataset: Dataset, field: str, value: str, sentence: str
) -> None:
    response = signed_in(alice).post(URL, {**form_data(dataset), field: value}, headers=HTMX)
    html = response.content.decode()
    assert response.status_code == 422
    assert sentence in html
    assert "turn day into night" in html
    assert not Job.objects.exists()


def test_a_prompt_is_needed_unless_every_pair_has_a_caption(alice: User, dataset: Dataset) -> None:
    client = signed_in(alice)
    assert client.post(URL, form_data(dataset, instance_prompt="")).status_code == 302
    dataset.verdict["pairs"][0]["caption"] = ""
    dataset.save()
    response = client.post(URL, form_data(dataset, instance_prompt=""))
    assert response.status_code == 422
    assert "Enter a prompt: not every pair has a caption." in response.content.decode()
    Dataset.objects.update(state=Dataset.State.CHECKING)
    answer = client.post(URL, form_data(dataset, instance_prompt="")).content.decode()
    assert "Enter a prompt: the dataset is not checked yet, so it is not known whether" in answer


def test_a_prompt_is_needed_where_nobody_has_looked_into_the_zip_yet(alice: User) -> None:
    file = SimpleUploadedFile("night.zip", sample.make(), "application/zip")
    for unseen in ({"file": file}, {"source_url": "https://example.com/night.zip"}):
        answer = signed_in(alice).post(URL, form_data(instance_prompt="", **unseen))
        assert answer.status_code == 422
        assert "Enter a prompt" in answer.content.decode()
    assert not Job.objects.exists()


@pytest.mark.parametrize(("name", "content"), [("cat.png", b"x"), ("empty.zip", b"")])
def test_a_wrong_file_is_refused_in_words(alice: User, name: str, content: bytes) -> None:
    data = form_data(file=SimpleUploadedFile(name, content))
    response = signed_in(alice).post(URL, data)
    assert response.status_code == 422
    assert "is not a ZIP" in response.content.decode() or "empty" in response.content.decode()


def test_viewers_cannot_train(charlie: User, alice: User, dataset: Dataset) -> None:
    client = signed_in(charlie)
    assert client.post(URL, form_data(dataset)).status_code == 403
    assert client.get(URL).status_code == 403
    assert not Job.objects.exists()


def test_again_fills_in_the_form(alice: User, dataset: Dataset) -> None:
    client = signed_in(alice)
    client.post(URL, form_data(dataset, learning_rate="0.0002", steps="777"))
    html = client.get(f"{URL}?again={Job.objects.get().pk}").content.decode()
    assert 'value="0.0002"' in html
    assert 'value="777"' in html


def test_the_form_says_before_the_start_whether_the_engine_trains(alice: User, settings: Any) -> None:
    settings.LOCAL_ENGINE = True
    local = connections.built_in()
    assert "The local engine only simulates" in text_of(signed_in(alice), URL)
    Connection.objects.filter(pk=local.pk).update(capabilities=["losses", "samples"])
    page = text_of(signed_in(alice), URL)
    assert "The local engine trains on your own hardware, free of charge." in page
    assert "simulates" not in page
    assert "More steps take longer. " in page
    Connection.objects.create(name="Studio", base_url="https://api.example.com")
    page = text_of(signed_in(alice), URL)
    assert f"<strong>{local}</strong>" in page
    assert "Trains on your own hardware, free of charge" in page
    assert "More steps take longer and cost more. " in page


def test_a_field_with_an_error_still_names_its_help_text(alice: User, dataset: Dataset) -> None:
    html = signed_in(alice).post(URL, form_data(dataset, steps="0", learning_rate="0.0004")).content.decode()
    (steps,) = re.findall(r'<input[^>]*id="id_steps"[^>]*>', html)
    assert 'aria-describedby="id_steps_helptext id_steps_error"' in steps
    assert 'aria-invalid="true"' in steps
    for name in ("id_steps_helptext", "id_steps_error"):
        assert f'id="{name}"' in html
    (rate,) = re.findall(r'<input[^>]*id="id_learning_rate"[^>]*>', html)
    assert 'aria-describedby="id_learning_rate_helptext"' in rate
    assert "aria-invalid" not in rate


def test_a_gpu_is_named_only_where_it_trains(alice: User, settings: Any) -> None:
    settings.LOCAL_ENGINE = True
    local = connections.built_in()
    assert "H100" not in text_of(signed_in(alice), URL).replace('value="NVIDIA_H100"', "")
    paid = Connection.objects.create(name="Segmind", base_url="https://api.segmind.com")
    assert "trains on an NVIDIA H100" in text_of(signed_in(alice), URL)
    engine = Connection.objects.create(name="Studio", base_url="https://e.example", capabilities=["progress"])
    Connection.objects.filter(pk=engine.pk).update(is_default=True)
    page = text_of(signed_in(alice), URL).replace('value="NVIDIA_H100"', "")
    assert "H100" not in page
    assert "A job at a provider is paid for" in page
    external = make_job(None, "ready", connection=paid)
    jobs = [make_job(alice, "ready", connection=each) for each in (local, engine, paid)]
    pages = [text_of(signed_in(alice), f"/jobs/{job.pk}/") for job in (*jobs, external)]
    assert ["NVIDIA H100" in page for page in pages] == [False, False, True, False]


def test_limits_are_shown_only_where_a_job_counts(alice: User, settings: Any) -> None:
    settings.LOCAL_ENGINE = True
    connections.built_in()
    Limits.objects.create(pk=1, per_person_day=1)
    assert "of yours today" not in text_of(signed_in(alice), URL)
    Connection.objects.create(name="Segmind", base_url="https://api.segmind.com")
    page = text_of(signed_in(alice), URL)
    assert "of yours today" in page
    assert "Jobs of the local engine do not count." in page


def test_a_connection_whose_key_is_of_no_use_is_marked_where_it_is_chosen(alice: User, settings: Any) -> None:
    settings.LOCAL_ENGINE = True
    connections.built_in()
    paid = Connection.objects.create(name="Segmind", encrypted_key="sealed")
    assert ": jobs wait." not in text_of(signed_in(alice), URL)
    Connection.objects.filter(pk=paid.pk).update(is_key_rejected=True)
    assert "API key rejected: jobs wait." in text_of(signed_in(alice), URL)
    Connection.objects.filter(pk=paid.pk).update(encrypted_key="", is_key_rejected=False)
    assert "No API key: jobs wait." in text_of(signed_in(alice), URL)


def test_the_prompt_begins_with_the_caption_that_all_pairs_have(alice: User) -> None:
    page = signed_in(alice).get(f"/jobs/new/?dataset={make_dataset(alice).pk}").content.decode()
    prompt = page.partition('name="instance_prompt"')[2]
    assert prompt.partition(">")[2].strip().startswith("turn day into night, with a moon and lit windows")
    assert "Optional: every pair has a caption." in prompt.partition("</div>")[0]
