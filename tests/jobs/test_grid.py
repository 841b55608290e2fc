"""The table as a grid of results."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job, SavedView, Training
from finetune_portal.projects import services as projects
from finetune_portal.projects.models import Project
from finetune_portal.web.paging import PAGE
from tests.jobs.test_saved_views import lit
from tests.jobs.test_sweep_rows import make_sweep
from tests.jobs.test_table import link
from tests.people import HTMX, made_preview, make_generation, make_job, make_samples, signed_in
from tests.playground.conftest import content
from tests.worker.driving import text_of


@pytest.fixture(autouse=True)
def the_connection(db: None) -> None:
    connections.built_in()


def cards(html: str) -> list[int]:
    """The keys of the jobs, from the first card to the last."""
    return [int(pk) for pk in re.findall(r'<li id="job-(\d+)" class="job-card"', html)]


def pictures_of(client: Client, job: Job) -> list[str]:
    card = text_of(client, "/?layout=grid").split(f'<li id="job-{job.pk}"')[1].split("</li>")[0]
    return re.findall(r'<img src="([^"?]+)', card)


def test_it_shows_the_same_jobs_as_the_table(alice: User, bob: User) -> None:
    ready, training = make_job(alice, "ready", name="b"), make_job(alice, "training", name="a")
    make_job(bob, "ready", name="c")
    client = signed_in(alice)
    switch = re.search(r'href="([^"]+)" title="Grid"', text_of(client, "/?mine=on&sort=name&before=x"))
    assert switch
    grid = text_of(client, switch[1].replace("&amp;", "&"))
    assert cards(grid) == [training.pk, ready.pk]
    assert "<table" not in grid
    assert cards(text_of(client, link(grid, "Ready") + "&layout=grid")) == [ready.pk]
    assert '<input type="hidden" name="layout" value="grid">' in grid, "a search stays in the grid"
    assert cards(text_of(client, "/?layout=carousel")) == []


def test_its_picture_is_the_newest_result_else_sample_else_the_pair(alice: User, dataset: Dataset) -> None:
    job, client = make_job(alice, "ready", dataset=dataset), signed_in(alice)
    assert pictures_of(client, job) == [
        f"/datasets/{dataset.pk}/0-{place}-small.webp" for place in ("start", "end")
    ]
    make_samples(job, "0", "20")
    Training.objects.create(job=job, samples=[0, 20])
    assert pictures_of(client, job) == [f"/jobs/{job.pk}/samples/20-large.webp"]
    result = make_generation(job)
    Job.objects.update(updated_at="2100-01-01T00:00Z")
    assert pictures_of(client, job) == [f"/try/runs/{result.pk}/small.webp"]
    for edge in ("small", "large"):
        content(made_preview(client, f"/try/runs/{result.pk}/{edge}.webp"))
    Job.objects.update(updated_at="2100-01-02T00:00Z")
    assert f"/try/runs/{result.pk}/large.webp 1280w" in text_of(client, "/?layout=grid")
    bare = make_job(alice)
    assert pictures_of(client, bare) == []


def test_it_lists_jobs_and_not_sweeps_and_pages_them(alice: User) -> None:
    jobs = make_sweep(alice)
    jobs += [make_job(alice) for _ in range(PAGE)]
    client = signed_in(alice)
    first = text_of(client, "/?layout=grid")
    second = text_of(client, "/" + link(first, "Older"))
    assert cards(first) + cards(second) == [job.pk for job in reversed(jobs)]
    assert '<bdi>Moons</bdi> <span class="number">0.0001 · 300 steps</span>' in second


def test_it_asks_for_itself_as_a_grid(alice: User) -> None:
    job, client = make_job(alice), signed_in(alice)
    asked = re.search(r'hx-get="(/jobs/table/[^"]+)"', text_of(client, "/?layout=grid"))
    assert asked
    Job.objects.update(updated_at="2100-01-01T00:00Z")
    answer = client.get(asked[1].replace("&amp;", "&"), headers=HTMX).content.decode()
    assert cards(answer) == [job.pk]


def test_the_last_choice_opens_the_next_pages(alice: User) -> None:
    job, client = make_job(alice), signed_in(alice)
    assert cards(text_of(client)) == []
    client.get("/?layout=grid")
    assert client.get("/?state=active&q=a+b").headers["Location"] == "/?state=active&q=a+b&layout=grid"
    assert cards(client.get("/", follow=True).content.decode()) == [job.pk]
    piece = client.get("/jobs/table/", headers=HTMX).content.decode()
    assert cards(piece) == [], "a table that is open elsewhere stays one"
    client.get("/?layout=table")
    assert client.get("/").status_code == 200
    client.get("/?layout=pink")
    assert client.cookies[settings.TABLE_COOKIE_NAME].value.startswith("table:")


def test_a_saved_view_keeps_its_layout(alice: User) -> None:
    make_job(alice, "ready")
    client = signed_in(alice)
    SavedView.objects.create(owner=alice, name="Before", query="tag=x")
    shown = re.search(
        r'name="query" value="(state=ready[^"]*)"', text_of(client, "/?state=ready&layout=grid")
    )
    assert shown
    client.post("/views/", {"name": "Results", "query": shown[1].replace("&amp;", "&")})
    view = SavedView.objects.get(name="Results")
    assert lit(text_of(client, f"/?{view.query}")) == ["Results"]
    assert lit(text_of(client, "/?state=ready&layout=table")) == ["Ready"]
    assert lit(text_of(client, "/?tag=x&layout=grid")) == ["Before"], "one without a layout suits both"


def test_it_holds_private_projects_and_rights(alice: User, bob: User, charlie: User) -> None:
    hidden = Project.objects.create(name="Secret", folded_name="secret", is_private=True)
    make_job(alice, project=hidden, name="Hidden")
    shown = make_job(alice, "ready", request_id="1", cloud_storage_url="https://a.example/b", slug="s")
    for viewer in (bob, charlie):
        html = text_of(signed_in(viewer), "/?layout=grid")
        assert cards(html) == [shown.pk]
        assert "Hidden" not in html


def test_more_cards_take_no_more_queries(alice: User) -> None:
    client = signed_in(alice)
    client.get("/?layout=grid")  # the first asks more

    def fill(number: int) -> None:
        for _ in range(number):
            make_generation(make_job(alice, "ready"))
            Training.objects.create(job=make_job(alice, "training"), samples=[5])

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get("/?layout=grid").status_code == 200
        return len(captured)

    fill(2)
    few = queries()
    fill(10)
    assert queries() == few <= 16


@pytest.mark.parametrize("layout", ["grid", "table"])
def test_a_project_that_becomes_private_is_marked_at_once(alice: User, dana: User, layout: str) -> None:
    project = projects.add("Winter", actor=dana)
    make_job(alice, project=project)
    client = signed_in(dana)
    assert "private project" not in text_of(client, f"/?layout={layout}")
    projects.set_private(project, private=True, actor=dana)
    assert "private project" in text_of(client, f"/?layout={layout}")
    projects.set_private(project, private=False, actor=dana)
    assert "private project" not in text_of(client, f"/?layout={layout}")


def test_an_open_page_loses_the_jobs_of_a_project_that_becomes_private(
    alice: User, bob: User, dana: User
) -> None:
    project = projects.add("Winter", actor=dana)
    job, client = make_job(alice, project=project), signed_in(bob)
    page = text_of(client, "/?layout=grid")
    asked = re.search(r'hx-get="(/jobs/table/[^"]+)"', page)
    assert asked
    assert cards(page) == [job.pk]
    projects.set_private(project, private=True, actor=dana)
    answer = client.get(asked[1].replace("&amp;", "&"), headers=HTMX)
    assert answer.status_code == 200
    assert cards(answer.content.decode()) == []
