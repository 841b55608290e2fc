"""POST /presets/: the team's own learning rate and steps, saved under a name."""

from __future__ import annotations

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Preset
from tests.people import HTMX, form_data, signed_in
from tests.worker.driving import text_of


def test_a_preset_of_the_team(alice: User, bob: User, charlie: User) -> None:
    data = {"preset_name": "Our own", "learning_rate": "0.0003", "steps": "700"}
    assert signed_in(charlie).post("/presets/", data).status_code == 403
    kept = signed_in(alice).post("/presets/", data, headers=HTMX)
    assert "Our own" in kept.content.decode()
    assert "Our own" in text_of(signed_in(bob), "/jobs/new/")
    preset = Preset.objects.get()
    assert (preset.learning_rate, preset.steps) == (0.0003, 700)
    assert "Delete the preset Our own" not in text_of(signed_in(bob), "/jobs/new/")
    assert signed_in(bob).post(f"/presets/{preset.pk}/drop/").status_code == 403
    signed_in(alice).post(f"/presets/{preset.pk}/drop/")
    assert not Preset.objects.exists()
    actions = list(AuditEvent.objects.values_list("action", flat=True))
    assert sorted(actions) == ["preset.drop", "preset.keep"]


def test_a_preset_that_cannot_be_kept_says_why_and_loses_nothing(alice: User, dataset: Dataset) -> None:
    client = signed_in(alice)
    for data, sentence in (
        ({"preset_name": ""}, "Enter a name for the preset"),
        ({"preset_name": "Two", "learning_rate": "0.0001, 0.0004"}, "A preset has a single learning rate"),
    ):
        typed = form_data(dataset, instance_prompt="a red hat", **data)
        answer = client.post("/presets/", typed)
        html = answer.content.decode()
        assert answer.status_code == 422
        assert sentence in html
        assert "a red hat" in html
        assert f'<option value="{dataset.pk}" selected' in html
    assert not Preset.objects.exists()
