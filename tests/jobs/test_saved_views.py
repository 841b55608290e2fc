"""Filters of the table, saved under a name, as tabs."""

from __future__ import annotations

import re

from finetune_portal.accounts.models import User
from finetune_portal.jobs.models import SavedView
from tests.people import make_job, signed_in
from tests.worker.driving import text_of


def test_a_view_is_kept_under_its_name(alice: User, bob: User) -> None:
    make_job(bob)
    client = signed_in(alice)
    client.post("/views/", {"name": "Mine, failed", "query": "state=failed&mine=on&seen=1&before=7"})
    view = SavedView.objects.get()
    assert view.query == "state=failed&mine=on"
    assert "Mine, failed" in text_of(client, "/")
    assert "Mine, failed" not in text_of(signed_in(bob), "/")
    assert signed_in(bob).post(f"/views/{view.pk}/drop/").status_code == 404
    client.post(f"/views/{view.pk}/drop/")
    assert not SavedView.objects.exists()


def lit(html: str) -> list[str]:
    """The tabs that are shown as the current one."""
    return re.findall(r'<a [^>]*aria-current="true"[^>]*>([^<]+?) ?<', html)


def test_the_view_that_is_shown_is_the_lit_tab_and_has_the_menu(alice: User) -> None:
    make_job(alice)
    client = signed_in(alice)
    unsaved = text_of(client, "/?state=failed&tag=moon")
    assert lit(unsaved) == ["Failed or closed"]
    assert 'action="/views/"' in unsaved
    assert 'action="/views/"' not in text_of(client), "there is nothing to save"
    client.post("/views/", {"name": "Failed moons", "query": "state=failed&tag=moon"})
    view = SavedView.objects.get()
    saved = text_of(client, "/?tag=moon&state=failed")
    assert lit(saved) == ["Failed moons"]
    assert f'action="/views/{view.pk}/rename/"' in saved
    assert 'action="/views/"' not in saved, "it is saved"
    everything = text_of(client)
    assert lit(everything) == ["All"]
    assert f"/views/{view.pk}/rename/" not in everything
    assert 'href="/?state=failed&amp;tag=moon"' in everything


def test_a_view_is_renamed_and_deleted_while_the_table_keeps_its_filters(alice: User, bob: User) -> None:
    client = signed_in(alice)
    for name, query in (("Mine", "mine=on"), ("Failed", "state=failed")):
        client.post("/views/", {"name": name, "query": query})
    view = SavedView.objects.get(name="Mine")
    to = {"query": "mine=on"}
    taken = client.post(f"/views/{view.pk}/rename/", {"name": "Failed", **to}, follow=True)
    assert "You have another view with the name “Failed”." in taken.content.decode()
    assert signed_in(bob).post(f"/views/{view.pk}/rename/", {"name": "His"}).status_code == 404
    answer = client.post(f"/views/{view.pk}/rename/", {"name": "All mine", **to})
    assert answer.headers["Location"] == "/?mine=on"
    assert sorted(SavedView.objects.values_list("name", flat=True)) == ["All mine", "Failed"]
    assert client.post(f"/views/{view.pk}/drop/", to).headers["Location"] == "/?mine=on"
    assert SavedView.objects.get().name == "Failed"


def test_many_views_fold_into_more_but_not_the_one_that_is_shown(alice: User) -> None:
    make_job(alice)
    client = signed_in(alice)
    for number in range(1, 7):
        client.post("/views/", {"name": f"View {number}", "query": f"tag={number}"})
    tabs, menu = text_of(client).split('id="more-views"')
    assert re.findall(r">(View \d)<", tabs) == [f"View {number}" for number in (1, 2, 3)]
    assert re.findall(r">(View \d)<", menu) == ["View 4", "View 5", "View 6"]
    tabs, menu = text_of(client, "/?tag=6").split('id="more-views"')
    assert lit(tabs) == ["View 6"]
    assert re.findall(r">(View \d)<", menu) == ["View 3", "View 4", "View 5"]
