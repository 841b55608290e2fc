"""No page has an accessibility fault that axe can see, nor scrolls sideways on a phone."""

from __future__ import annotations

import pytest
from django.utils.timezone import now
from playwright.sync_api import Page

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.timeline import Source, note
from finetune_portal.projects import services as projects
from tests.e2e.axe import OF_COLOURS, RULES, faults, fit
from tests.e2e.conftest import Visitor, just_entered
from tests.e2e.live.looking import PUBLISHED
from tests.people import make_dataset, make_job, make_samples
from tests.web_server import WebServer

pytestmark = pytest.mark.browser


in_light_and_dark = pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.long)])


def look(page: Page, address: str, scheme: str) -> None:
    """In the light whole, in the dark for what depends on colours."""
    is_light = scheme == "light"
    page.emulate_media(color_scheme="light" if is_light else "dark", reduced_motion="reduce")
    page.goto(address)
    assert page.evaluate("location.pathname + location.search") == address, "no page leads to another"
    assert faults(page, RULES if is_light else OF_COLOURS) == [], f"{address}, {scheme}"
    page.set_viewport_size({"width": 390, "height": 844})
    fit(page, address)
    page.set_viewport_size({"width": 1280, "height": 900})


@in_light_and_dark
def test_pages_before_sign_in(visitor: Visitor, web: WebServer, scheme: str) -> None:
    page = visitor(web.url)
    for address in ("/login/", "/setup/gone/", "/password/MQ/gone/", "/settings/notices/confirm/gone/"):
        look(page, address, scheme)


@pytest.fixture
def job(admin: User) -> Job:
    """A finished job with all that its page can show, of a dataset with two versions, and a second job."""
    dataset = make_dataset(admin)
    make_dataset(admin, parent=dataset, version=2)
    make_job(admin, State.QUEUED, dataset=dataset)
    further = {"rank": 32, "hold_out": False}
    times = {"sent_at": now(), "ended_at": now()}
    job = make_job(admin, State.READY, dataset=dataset, parameters=further, **times, **PUBLISHED)
    note(job, "Ready", source=Source.POLL, state=State.READY, detail="HTTP 200")
    make_samples(job, "control", "target", "0", "20")
    losses, held_out = [[1, 0.9], [20, 0.5]], [[0, 0.8], [20, 0.6]]
    Training.objects.create(
        job=job, step=20, losses=losses, held_out=held_out, samples=[0, 20], is_over=True, updated_at=now()
    )
    return job


@pytest.mark.long
@in_light_and_dark
def test_pages_after_sign_in(visitor: Visitor, web: WebServer, admin: User, job: Job, scheme: str) -> None:
    account = connections.add(name="Team at fal", key="two:parts", provider="fal", actor=admin)
    connections.change_admin_key(account, "two:other-parts", actor=admin)
    Connection.objects.filter(pk=account.pk).update(capabilities=["webhooks"])
    project = projects.add("Winter", actor=admin)
    projects.add_member(project, admin, actor=admin)
    page = visitor(web.url, just_entered(admin))
    dataset, person = job.dataset_id, admin.pk
    for address in (
        "/",
        "/?q=nothing",
        f"/?by={person}&public=off&sort=name",
        "/?layout=grid",
        "/jobs/compare/",
        f"/jobs/compare/?job={job.pk}&job={job.pk - 1}",
        f"/jobs/{job.pk}/",
        f"/jobs/delete/?job={job.pk}&job={job.pk - 1}",
        "/jobs/new/",
        f"/jobs/new/?again={job.pk}",
        "/datasets/",
        f"/datasets/{dataset}/",
        f"/datasets/{dataset}/pairs/0/",
        f"/datasets/{dataset}/captions/",
        "/settings/",
        "/settings/limits/",
        "/settings/models/",
        "/settings/webhooks/",
        "/settings/webhooks/deliveries/",
        "/settings/webhooks/deliveries/?event=none",
        "/notifications/",
        "/settings/notices/",
        "/settings/projects/",
        f"/settings/projects/{project.pk}/",
        "/audit/",
        "/costs/",
        "/settings/budgets/",
        "/costs/?by=each",
        "/tokens/",
        "/api/",
        "/team/",
        f"/team/{person}/",
        "/profile/",
        "/profile/password/",
        "/profile/second-factor/",
        "/profile/second-factor/app/",
        "/profile/second-factor/keys/add/",
        "/nowhere/",
    ):
        look(page, address, scheme)
