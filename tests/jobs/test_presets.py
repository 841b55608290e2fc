"""POST /jobs/new/presets/: the team's own parameters, saved under a name."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

from django.db import connection

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.datasets.models import Dataset
from finetune_portal.deletion import services as deletion
from finetune_portal.jobs.models import Preset
from finetune_portal.projects import services as projects
from tests import databases
from tests.people import HTMX, form_data, signed_in
from tests.worker.driving import text_of


def test_a_preset_of_the_team(alice: User, bob: User, charlie: User) -> None:
    data = {"preset_name": "Our own", "learning_rate": "0.0003", "steps": "700"}
    assert signed_in(charlie).post("/jobs/new/presets/", data).status_code == 403
    kept = signed_in(alice).post("/jobs/new/presets/", data, headers=HTMX)
    assert "Our own" in kept.content.decode()
    assert "Our own" in text_of(signed_in(bob), "/jobs/new/")
    preset = Preset.objects.get()
    assert (preset.learning_rate, preset.steps) == (0.0003, 700)
    assert "Delete the preset Our own" not in text_of(signed_in(bob), "/jobs/new/")
    assert signed_in(bob).post(f"/jobs/new/presets/{preset.pk}/drop/").status_code == 403
    signed_in(alice).post(f"/jobs/new/presets/{preset.pk}/drop/")
    assert not Preset.objects.exists()
    actions = list(AuditEvent.objects.values_list("action", flat=True))
    assert sorted(actions) == ["preset.drop", "preset.keep"]


def test_a_preset_has_all_parameters(alice: User, bob: User) -> None:
    further = {"parameter-rank": "32", "parameter-hold_out": "false", "parameter-guidance": "2,5"}
    data = {"preset_name": "Hats", "learning_rate": "0.0003", "steps": "700", **further, "parameter-seed": ""}
    kept = signed_in(alice).post("/jobs/new/presets/", data, headers=HTMX)
    assert kept.status_code == 200
    assert Preset.objects.get().parameters == {"rank": 32, "hold_out": False, "guidance": 2.5}
    html = text_of(signed_in(bob), "/jobs/new/")
    assert "rank 32, guidance 2.5, hold out no" in html
    inputs = re.findall(r'data-parameters="([^"]+)"', html)
    assert [json.loads(unescape(text)) for text in inputs] == [
        {"parameter-rank": "32", "parameter-hold_out": "false", "parameter-guidance": "2.5"}
    ]


def test_one_of_a_private_project_is_for_its_members_and_admins(alice: User, bob: User, dana: User) -> None:
    project = projects.add("Winter", actor=dana)
    projects.add_member(project, alice, actor=dana)
    projects.set_private(project, private=True, actor=dana)
    data = {"preset_name": "Acme", "learning_rate": "0.0003", "steps": "700", "project": project.pk}
    assert signed_in(bob).post("/jobs/new/presets/", data, headers=HTMX).status_code == 422
    kept = signed_in(alice).post("/jobs/new/presets/", data, headers=HTMX)
    assert "“Acme” is now a preset for the members of “Winter”." in kept.content.decode()
    preset = Preset.objects.get()
    for who, is_seen in ((alice, True), (dana, True), (bob, False)):
        assert ("Acme" in text_of(signed_in(who), "/jobs/new/")) == is_seen
    delete = f"/jobs/new/presets/{preset.pk}/drop/"
    assert signed_in(bob).post(delete).status_code == 404
    again = signed_in(bob).post("/jobs/new/presets/", {**data, "project": ""}, headers=HTMX)
    assert again.status_code == 200, "an equal name elsewhere says nothing of this one"
    assert signed_in(alice).post("/jobs/new/presets/", data, headers=HTMX).status_code == 422
    deletion.delete_project(project, actor=dana)
    assert [each.owner for each in Preset.objects.all()] == [bob]
    assert "Winter" not in databases.every_value()


def test_two_of_one_name_at_once_are_one_and_a_sentence(alice: User, bob: User) -> None:
    """Bob's is saved after the form of Alice was checked."""
    data = {"preset_name": "Our own", "learning_rate": "0.0003", "steps": "700"}

    saved = iter([True])

    def save_before(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith('INSERT INTO "jobs_preset"') and next(saved, False):
            Preset.objects.create(owner=bob, name="Our own", learning_rate=0.1, steps=9)
        return execute(sql, *rest)

    client = signed_in(alice)
    with connection.execute_wrapper(save_before):
        answer = client.post("/jobs/new/presets/", data, headers=HTMX)
    assert answer.status_code == 422
    assert "A preset with this name already exists." in answer.content.decode()


def test_a_preset_that_cannot_be_kept_says_why_and_loses_nothing(alice: User, dataset: Dataset) -> None:
    client = signed_in(alice)
    for data, sentence in (
        ({"preset_name": ""}, "Enter a name for the preset"),
        ({"preset_name": "Two", "learning_rate": "0.0001, 0.0004"}, "A preset has a single learning rate"),
        ({"preset_name": "Two", "parameter-rank": "16; 32"}, "A preset has a single value of Rank."),
        ({"preset_name": "Two", "parameter-rank": "0"}, "Rank must be a whole number from 1 to 256."),
        ({"preset_name": "Two", "parameter-x": "1"}, "does not take “x”"),
    ):
        typed = form_data(dataset, instance_prompt="a red hat", **data)
        answer = client.post("/jobs/new/presets/", typed)
        html = answer.content.decode()
        assert answer.status_code == 422
        assert sentence in html
        assert "a red hat" in html
        assert f'<option value="{dataset.pk}" selected' in html
    assert not Preset.objects.exists()
