"""GET and POST /settings/limits/, and what the limits do to the form and to a visibility switch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job, Limits
from tests.people import HTMX, form_data, make_job, signed_in
from tests.worker.driving import text_of

URL = "/settings/limits/"


@pytest.fixture(autouse=True)
def paid(settings: Any, db: None) -> None:
    """A provider that costs something; none is asked here."""
    settings.LOCAL_ENGINE = False
    settings.SEGMIND_BASE_URL, settings.SEGMIND_API_KEY = "http://127.0.0.1:9", "a-key-of-the-vendor"


def limit(**fields: Any) -> None:
    Limits.objects.update_or_create(pk=1, defaults=fields)


def start(person: User, dataset: Dataset, **fields: Any) -> Any:
    return signed_in(person).post("/jobs/new/", form_data(dataset, **fields))


def test_an_admin_sets_them_and_the_record_tells_what_changed(dana: User) -> None:
    client = signed_in(dana)
    assert "of yours today" not in text_of(client, "/jobs/new/")
    data = {"per_person_day": "3", "per_team_month": "", "only_admins_publish": "on"}
    assert client.post(URL, data).headers["Location"] == URL
    limits = Limits.objects.get()
    assert (limits.per_person_day, limits.per_team_month, limits.only_admins_publish) == (3, None, True)
    changes = {event.action: event.change for event in AuditEvent.objects.all()}
    assert changes == {"limit.per_person_day": (None, 3), "limit.only_admins_publish": (False, True)}


def test_what_is_no_number_is_told_at_its_field(dana: User) -> None:
    response = signed_in(dana).post(URL, {"per_person_day": "-1"})
    assert response.status_code == 422
    assert "greater than or equal to 0" in response.content.decode()
    assert not AuditEvent.objects.exists()


def test_only_admins_see_and_set_them(alice: User, charlie: User, client: Client) -> None:
    for person in (alice, charlie):
        assert signed_in(person).get(URL).status_code == 403
        assert signed_in(person).post(URL, {"per_person_day": "9"}).status_code == 403
    assert client.post(URL).headers["Location"].startswith("/login/")
    assert not Limits.objects.exists()


def test_a_person_sees_what_is_left_and_is_stopped_at_the_end(alice: User, dataset: Dataset) -> None:
    limit(per_person_day=2)
    client = signed_in(alice)
    assert '<strong class="number">2</strong> of yours today' in text_of(client, "/jobs/new/")
    assert start(alice, dataset).status_code == 302
    assert start(alice, dataset).status_code == 302
    assert '<strong class="number">0</strong> of yours today' in text_of(client, "/jobs/new/")
    response = start(alice, dataset, name="One too many")
    html = response.content.decode()
    assert response.status_code == 422
    assert "You may start 2 jobs per day; none is left for today." in html
    assert "One too many" in html, "nothing typed is lost"
    assert "Start anyway" not in html
    start(alice, dataset, exceed="on")
    assert Job.objects.count() == 2, "only an admin may exceed"


def test_the_same_form_again_is_no_second_job_at_the_limit(alice: User, dataset: Dataset) -> None:
    limit(per_person_day=1)
    form = form_data(dataset)
    client = signed_in(alice)
    first, second = client.post("/jobs/new/", form), client.post("/jobs/new/", form)
    assert first.headers["Location"] == second.headers["Location"]


def test_the_team_has_a_month(alice: User, bob: User, dataset: Dataset) -> None:
    limit(per_team_month=1)
    make_job(bob, "ready", sent_at=now(), created_at=now() - timedelta(days=40))
    assert start(bob, dataset).status_code == 302
    response = start(alice, dataset)
    assert "The team may start 1 job per month; none is left." in response.content.decode()


def test_what_never_left_and_what_others_made_do_not_count(alice: User, dataset: Dataset) -> None:
    limit(per_person_day=1, per_team_month=1)
    make_job(alice, "closed")
    make_job(alice, "refused")
    make_job(None, "ready", sent_at=now())
    assert start(alice, dataset).status_code == 302
    assert start(alice, dataset).status_code == 422


def test_a_sweep_starts_whole_or_not_at_all(alice: User, dataset: Dataset) -> None:
    limit(per_person_day=5)
    six = {"learning_rate": "0.0001; 0.0002", "steps": "100; 200; 300", "confirmed": "6"}
    response = start(alice, dataset, **six)
    assert "You may start 5 jobs per day; 5 are left for today." in response.content.decode()
    assert not Job.objects.exists()
    limit(per_person_day=6)
    start(alice, dataset, **six)
    assert Job.objects.count() == 6


def test_an_admin_exceeds_after_a_question(dana: User, dataset: Dataset) -> None:
    limit(per_person_day=0)
    form = form_data(dataset)
    response = signed_in(dana).post("/jobs/new/", form, headers=HTMX)
    assert "Start anyway" in response.content.decode()
    signed_in(dana).post("/jobs/new/", {**form, "exceed": "on"})
    assert Job.objects.count() == 1


def test_the_local_engine_costs_nothing(alice: User, dataset: Dataset, settings: Any) -> None:
    settings.LOCAL_ENGINE = True
    limit(per_person_day=0)
    assert start(alice, dataset).status_code == 302


def test_only_admins_publish_if_so_set(alice: User, dana: User, dataset: Dataset) -> None:
    limit(only_admins_publish=True)
    assert "Only admins can make models public here" in text_of(signed_in(alice), "/jobs/new/")
    response = start(alice, dataset, wants_public="on")
    assert "Only admins can make models public here." in response.content.decode()
    assert not Job.objects.exists()
    job = make_job(alice, "ready", request_id="r-1")
    html = signed_in(alice).post(f"/jobs/{job.pk}/public/", {"public": "on"}, headers=HTMX).content.decode()
    assert "Only admins can make models public here." in html
    job.refresh_from_db()
    assert not job.is_public
    assert start(dana, dataset, wants_public="on").status_code == 302


def test_another_persons_form_key_is_no_way_to_their_job(alice: User, bob: User, dataset: Dataset) -> None:
    form = form_data(dataset)
    signed_in(alice).post("/jobs/new/", form)
    assert signed_in(bob).post("/jobs/new/", form).status_code == 302
    assert set(Job.objects.values_list("owner__name", flat=True)) == {"Alice", "Bob"}


def test_nor_is_the_key_of_a_sweep_which_its_page_names(alice: User, bob: User, dataset: Dataset) -> None:
    form = form_data(dataset, steps="300; 500", confirmed="2")
    signed_in(alice).post("/jobs/new/", form)
    assert signed_in(bob).post("/jobs/new/", form | {"steps": "700; 900"}).status_code == 302
    assert Job.objects.values("sweep").distinct().count() == 2
