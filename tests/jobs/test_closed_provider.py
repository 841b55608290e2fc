"""A provider that takes no new jobs: jobs wait, the portal tries by itself, and every page says so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections import closing
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.transfer import schedule_transfer, transfer_next
from finetune_portal.jobs.models import Job
from finetune_portal.worker import tasks
from tests.gateway.api_client import SUBMIT, call, error_of, submit_body, token_of
from tests.people import form_data, make_dataset, make_job, signed_in
from tests.provider import KEY, ScriptedProvider, says
from tests.worker.driving import follow_now, fresh, point_at, text_of

WORDS = "Fine-tuning is deprecated and takes no new jobs."
CLOSED = says(403, {"error": WORDS})
HEADING = "The provider takes no new jobs."


@pytest.fixture(autouse=True)
def fake(settings: Any, db: None) -> Iterator[ScriptedProvider]:
    settings.LOCAL_ENGINE = False  # what it answers for is paid
    with ScriptedProvider() as running:
        point_at(settings, running)
        yield running


def connection() -> Connection:
    return Connection.objects.get(pk=connections.built_in().pk)


def waiting(dataset: Dataset, name: str = "Day to night") -> Job:
    return make_job(dataset.owner, name=name, dataset=dataset)


def close(fake: ScriptedProvider, dataset: Dataset) -> Job:
    """A job that the provider did not take, which waits again."""
    follow_now()  # the worker is alive
    fake.script("submit", CLOSED)
    job = waiting(dataset)
    tasks.submit_jobs()
    return fresh(job)


def try_is_due() -> None:
    Connection.objects.update(probe_at=now() - timedelta(seconds=1))


def minutes_to_the_next_try() -> float:
    probe_at = connection().probe_at
    assert probe_at
    return (probe_at - now()).total_seconds() / 60


def test_a_refused_job_waits_and_loses_nothing(dataset: Dataset, fake: ScriptedProvider) -> None:
    """S13"""
    job = close(fake, dataset)
    assert (job.state, job.can_withdraw) == ("queued", True)
    assert [attempt.outcome for attempt in job.submit_attempts.all()] == ["closed"]
    assert connection().is_training_closed
    assert WORDS in connection().closed_reason


def test_a_job_of_another_base_model_waits_as_well(dataset: Dataset, fake: ScriptedProvider) -> None:
    """What speaks Segmind's API says it of all that it trains."""
    follow_now()
    fake.script("submit", CLOSED)
    job = make_job(dataset.owner, dataset=dataset, trainer="flux-2-klein-base-4b")
    tasks.submit_jobs()
    assert (fresh(job).state, connection().is_training_closed) == ("queued", True)


def test_it_opens_by_itself_with_one_waiting_job(dataset: Dataset, fake: ScriptedProvider) -> None:
    """One stray refusal costs minutes, and nobody has to press anything."""
    first, second = close(fake, dataset), waiting(dataset)
    assert not tasks.submit_jobs()
    assert len(fake.sent("submit")) == 1, "it keeps the pause"
    try_is_due()
    assert tasks.submit_jobs()
    assert not connection().is_training_closed
    while tasks.submit_jobs():
        pass
    assert {fresh(first).state, fresh(second).state} == {"requested"}
    assert len(fake.sent("submit")) == 3


def test_the_pauses_grow_up_to_an_hour(dataset: Dataset, fake: ScriptedProvider) -> None:
    close(fake, dataset)
    pauses = [minutes_to_the_next_try()]
    for _ in range(5):
        fake.script("submit", CLOSED)
        try_is_due()
        assert tasks.submit_jobs()
        assert not tasks.submit_jobs(), "one job a try"
        pauses.append(minutes_to_the_next_try())
    assert pauses == pytest.approx([5, 10, 20, 40, 60, 60], abs=0.1)


def test_each_try_takes_another_job(dataset: Dataset, fake: ScriptedProvider) -> None:
    first, second = close(fake, dataset), waiting(dataset)
    Job.objects.filter(pk=second.pk).update(due_at=now() - timedelta(hours=1))
    fake.script("submit", CLOSED)
    try_is_due()
    tasks.submit_jobs()
    assert [job.submit_attempts.count() for job in (first, second)] == [1, 1]


def test_a_job_that_alone_is_refused_closes_nothing_again(dataset: Dataset, fake: ScriptedProvider) -> None:
    """Others were taken in the meantime, so the words are about this job."""
    job, other = close(fake, dataset), waiting(dataset)
    Job.objects.filter(pk=job.pk).update(due_at=now())
    Job.objects.filter(pk=other.pk).update(due_at=now() - timedelta(minutes=1))
    try_is_due()
    tasks.submit_jobs()
    fake.script("submit", CLOSED)
    tasks.submit_jobs()
    assert (fresh(other).state, fresh(job).state) == ("requested", "refused")
    assert WORDS in fresh(job).error
    assert not connection().is_training_closed


def test_a_try_whose_answer_is_lost_is_followed_by_another(dataset: Dataset, fake: ScriptedProvider) -> None:
    close(fake, dataset)
    fake.script("submit", says(500, b""))
    try_is_due()
    tasks.submit_jobs()
    assert connection().is_training_closed
    assert 0 < minutes_to_the_next_try() <= 4


def test_two_workers_make_one_try(dataset: Dataset, fake: ScriptedProvider) -> None:
    close(fake, dataset)
    try_is_due()
    assert closing.take_probe(connection())
    assert not closing.take_probe(connection())


def test_every_page_says_since_when_why_and_when_it_is_tried(
    dataset: Dataset, fake: ScriptedProvider, alice: User, dana: User
) -> None:
    job = close(fake, dataset)
    other = waiting(dataset)
    stands = connection()
    for url in ("/", f"/jobs/{job.pk}/", f"/jobs/{other.pk}/", "/jobs/new/", "/settings/"):
        html = text_of(signed_in(alice), url)
        assert HEADING in html, url
        assert WORDS in html, url
        assert f"{stands.closed_at:%Y-%m-%dT%H:%M:%S}" in html, url
        assert f"{stands.probe_at:%Y-%m-%dT%H:%M:%S}" in html, url
    assert "is closed to new jobs" in text_of(signed_in(alice)), "in the row"
    assert "This job waits and nothing is charged" in text_of(signed_in(alice), f"/jobs/{other.pk}/")
    assert "Closed to new jobs" in text_of(signed_in(alice), "/settings/")
    assert "Try now" not in text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert "Try now" in text_of(signed_in(dana), f"/jobs/{job.pk}/")


def test_the_job_page_is_drawn_anew_when_it_opens(
    dataset: Dataset, fake: ScriptedProvider, alice: User
) -> None:
    close(fake, dataset)
    other, client = waiting(dataset), signed_in(alice)
    page = text_of(client, f"/jobs/{other.pk}/")
    seen = page.split("?seen=")[1].split('"')[0]
    state = f"/jobs/{other.pk}/state/?seen={seen}"
    assert client.get(state, headers={"HX-Request": "true"}).status_code == 204
    closing.note_open(connection())
    assert client.get(state, headers={"HX-Request": "true"}).status_code == 200


def test_form_and_gateway_refuse_with_the_reason(
    dataset: Dataset, fake: ScriptedProvider, alice: User
) -> None:
    close(fake, dataset)
    response = signed_in(alice).post("/jobs/new/", form_data(dataset, name="Another"))
    assert response.status_code == 422
    html = response.content.decode()
    assert "is closed to new jobs." in html
    assert "tries again in about 5 minutes" in html
    assert 'value="Another"' in html, "what was typed stays"
    body = submit_body(f"http://testserver/finetune/uploads/{dataset.key}/{dataset.filename}")
    answer = call(token_of(alice, "train"), "POST", SUBMIT, body)
    assert answer.status_code == 409
    assert WORDS in error_of(answer)
    assert Job.objects.count() == 1


def test_when_a_try_is_due_and_no_job_waits_a_new_one_is_the_try(
    dataset: Dataset, fake: ScriptedProvider, alice: User
) -> None:
    job = close(fake, dataset)
    signed_in(alice).post(f"/jobs/{job.pk}/withdraw/")
    try_is_due()
    assert "The next job is sent as a try." in text_of(signed_in(alice), "/jobs/new/")
    signed_in(alice).post("/jobs/new/", form_data(dataset, name="Another"))
    while tasks.submit_jobs():
        pass
    assert Job.objects.latest("pk").state == "requested"
    assert not connection().is_training_closed


def test_a_form_that_was_sent_before_still_leads_to_its_job(
    dataset: Dataset, fake: ScriptedProvider, alice: User
) -> None:
    form, client = form_data(dataset), signed_in(alice)
    assert client.post("/jobs/new/", form).status_code == 302
    close(fake, dataset)
    assert client.post("/jobs/new/", form).status_code == 302


def test_an_admin_has_it_tried_now(dataset: Dataset, fake: ScriptedProvider, dana: User, alice: User) -> None:
    job = close(fake, dataset)
    url = f"/settings/connections/{job.connection_id}/try-now/"
    assert signed_in(alice).post(url).status_code == 403
    response = signed_in(dana).post(url, {"next": f"/jobs/{job.pk}/"})
    assert response.headers["Location"] == f"/jobs/{job.pk}/"
    assert AuditEvent.objects.get(action="connection.try").actor == dana
    tasks.submit_jobs()
    assert fresh(job).state == "requested"
    for elsewhere in ("//evil.example/", "https://evil.example/", ""):
        assert signed_in(dana).post(url, {"next": elsewhere}).headers["Location"] == "/settings/"


def test_a_test_claims_only_what_it_tested(dataset: Dataset, fake: ScriptedProvider, dana: User) -> None:
    job = close(fake, dataset)
    answer = signed_in(dana).post(f"/settings/connections/{job.connection_id}/test/")
    html = text_of(signed_in(dana), answer.headers["Location"])
    assert connection().is_training_closed
    assert HEADING in html
    client = signed_in(dana)
    html = client.post(
        f"/settings/connections/{job.connection_id}/test/", headers={"HX-Request": "true"}
    ).content.decode()
    assert "The key works." in html
    assert "Whether new jobs are taken was not tested" in html


@pytest.fixture
def other(fake: ScriptedProvider, dana: User, settings: Any) -> Iterator[Connection]:
    """A second connection, at another provider."""
    with ScriptedProvider() as second:
        settings.PROVIDER_URLS = [second.url]
        yield connections.add(name="Studio", base_url=second.url, key=KEY, actor=dana)


def test_a_waiting_job_can_be_sent_by_another_connection(
    dataset: Dataset, fake: ScriptedProvider, other: Connection, alice: User, bob: User
) -> None:
    job = close(fake, dataset)
    url = f"/jobs/{job.pk}/connection/"
    assert "Studio" in text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert signed_in(bob).post(url, {"connection": other.pk}).status_code == 403
    signed_in(alice).post(url, {"connection": other.pk})
    job = fresh(job)
    assert (job.connection, job.state) == (other, "waiting"), "its dataset goes there first"
    assert AuditEvent.objects.get(action="job.connection").detail["after"] == "Studio"
    while transfer_next() or tasks.submit_jobs():
        pass
    assert fresh(job).state == "requested"
    assert len(fake.sent("submit")) == 1, "nothing more at the closed one"


def test_a_job_that_is_being_sent_keeps_its_connection(
    dataset: Dataset, fake: ScriptedProvider, other: Connection, alice: User
) -> None:
    job = close(fake, dataset)
    Job.objects.update(state="sending")
    client = signed_in(alice)
    page = client.post(f"/jobs/{job.pk}/connection/", {"connection": other.pk}).headers["Location"]
    assert fresh(job).connection_id == job.connection_id
    assert "Too late to change the connection" in text_of(client, page)


def test_a_closed_upload_url_closes_the_connection_too(alice: User, fake: ScriptedProvider) -> None:
    """The submit never comes if the file cannot go there."""
    follow_now()
    dataset = make_dataset(alice, stored=False)
    fake.script("presigned_url", CLOSED)
    job = make_job(alice, "waiting", dataset=dataset)
    schedule_transfer(dataset, job.connection)
    assert transfer_next()
    assert connection().is_training_closed
    assert not transfer_next()
    assert HEADING in text_of(signed_in(alice), f"/jobs/{job.pk}/")
    transfer = dataset.transfers.get()
    assert transfer.due_at == connection().probe_at


def test_a_segmind_connection_shows_the_dated_report(
    dataset: Dataset, settings: Any, alice: User, dana: User
) -> None:
    """On its card and in the form before any upload; the local engine has none."""
    report = "A third party quoted its documentation on 27 August 2026"
    for url in ("/jobs/new/", "/settings/"):
        assert report not in text_of(signed_in(dana), url)
    settings.SEGMIND_BASE_URL = "https://api.segmind.com"
    for url in ("/jobs/new/", "/settings/"):
        html = text_of(signed_in(dana), url)
        assert report in html
        assert "We could not verify this." in html
    form = text_of(signed_in(dana), "/jobs/new/")
    assert form.index(report) < form.index('type="file"')


def test_rows_say_it_whoever_noticed_it(dataset: Dataset, fake: ScriptedProvider, alice: User) -> None:
    """An upload may be the first that is refused, and rows are kept for an hour."""
    waiting(dataset)
    assert "is closed to new jobs" not in text_of(signed_in(alice))
    closing.note_closed(connection(), WORDS)
    assert "is closed to new jobs" in text_of(signed_in(alice))
    closing.note_open(connection())
    assert "is closed to new jobs" not in text_of(signed_in(alice))
