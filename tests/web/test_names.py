"""Names in any script: taken wherever one is typed, and in ASCII only at the provider."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job, Preset, SavedView
from finetune_portal.web.names import ascii_name, clean_name
from tests.people import form_data, make_dataset, make_job, signed_in
from tests.provider import ScriptedProvider
from tests.worker.driving import point_at, send_now, text_of, transfer_now

NAMES = ["Müller Hüte", "帽子", "قبعة حمراء", "Шляпа v2", "Hüte 👒", "👩‍🎨", "<b>&{{ x }}"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_any_script_is_taken_everywhere(alice: User, dataset: Dataset, name: str) -> None:
    client = signed_in(alice)
    client.post("/jobs/new/", form_data(dataset, name=name))
    job = Job.objects.get()
    client.post(f"/jobs/{job.pk}/describe/", {"name": f"{name} 2"})
    client.post("/jobs/new/presets/", {"preset_name": name, "learning_rate": "0.0001", "steps": "9"})
    client.post("/views/", {"name": name, "query": "mine=on"})
    client.post(f"/datasets/{dataset.pk}/rename/", {"name": name})
    job.refresh_from_db()
    dataset.refresh_from_db()
    names = [job.name, Preset.objects.get().name, SavedView.objects.get().name, dataset.name]
    assert names == [f"{name} 2", name, name, name]
    again = client.post("/jobs/new/", form_data(dataset, name=job.name))
    assert again.status_code == 302, "what “Train again with changes” fills in is taken"


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("Müller Hüte", "Muller Hute"),
        ("Straße Ø Łódź æther", "Strasse O Lodz aether"),
        ("Œuvre Þór", "OEuvre Thor"),
        ("Шляпа v2", "v2"),
        ("帽子 ٣", "3"),
        ("帽子", "job"),
        ("-- 👒 --", "job"),
    ],
)
def test_the_provider_gets_an_ascii_name(alice: User, settings: Any, name: str, sent: str) -> None:
    with ScriptedProvider() as provider:
        point_at(settings, provider)
        dataset = make_dataset(alice, stored=False)
        transfer_now(dataset)
        job = send_now(make_job(alice, dataset=dataset, name=name))
        assert [each.name for each in provider.jobs] == [f"{sent}-{job.nonce}"]


@given(st.text(max_size=90))
def test_any_text_makes_a_name_of_letters_digits_and_a_few_signs(text: str) -> None:
    assert re.fullmatch("[A-Za-z0-9]([A-Za-z0-9 ._-]*[A-Za-z0-9])?", ascii_name(text, otherwise="job"))


@given(st.text(max_size=90))
def test_a_cleaned_name_is_one_visible_line_and_stays_as_it_is(text: str) -> None:
    name = clean_name(text)
    assert clean_name(name) == name
    assert not set(name) & set("\n\r\t\u2028\u202e\u200b\x00")


def test_what_people_typed_runs_in_its_own_direction(alice: User, dataset: Dataset) -> None:
    job = make_job(alice, dataset=dataset, name="قبعة", instance_prompt="ضع قبعة", note="ملاحظة")
    client = signed_in(alice)
    page = text_of(client, f"/jobs/{job.pk}/")
    for element, text in (("h1", "قبعة"), ("dd", "ضع قبعة"), ("dd", "ملاحظة")):
        assert re.search(rf'<{element}[^>]* dir="auto">\s*{text}', page)
    assert 'dir="auto">قبعة</a>' in text_of(client)
    form = text_of(client, "/jobs/new/")
    for name in ("name", "instance_prompt", "preset_name"):
        assert re.search(rf'<(input|textarea)[^>]* name="{name}"[^>]*dir="auto"', form), name
