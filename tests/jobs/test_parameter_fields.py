"""The fields under Advanced: one for each parameter that the selected connection takes."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from finetune_portal.providers.segmind import parameters
from tests.people import HTMX, form_data, make_job, signed_in
from tests.worker.driving import text_of

URL = "/jobs/new/"
PIECE = f"{URL}parameters/"


@pytest.fixture(autouse=True)
def engine(db: None) -> Connection:
    """The built-in connection, an engine of a later release: the type of one parameter is not known."""
    connection = connections.built_in()
    connection.parameters = [*parameters.KNOWN, "of_tomorrow"]
    connection.save()
    return connection


@pytest.fixture
def vendor(dana: User) -> Connection:
    """A second connection, which takes no further parameters."""
    added = connections.add(name="Vendor", base_url="https://api.segmind.com", key="sk-a", actor=dana)
    Connection.objects.filter(pk=added.pk).update(parameters=[])
    return added


def fields_of(html: str) -> dict[str, str]:
    """What the inputs and selects under Advanced hold, by name; the line of the others where it shows."""
    start = html.index('id="advanced"')
    section = html[start : html.index("</details>", start)]
    values = {}
    for tag in re.findall(r"<input[^>]*>", section):
        name, value = (re.search(rf' {each}="([^"]*)"', tag) for each in ("name", "value"))
        assert name
        values[name[1]] = unescape(value[1]) if value else ""
    for name, options in re.findall(r'<select name="([^"]+)"[^>]*>(.*?)</select>', section, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        values[name] = chosen[1] if chosen else ""
    if "data-other-parameters hidden" in section:
        assert values.pop("parameters") == ""
    return values


def errors_of(html: str) -> dict[str, str]:
    """The errors of the form by the ids of their fields."""
    errors = re.findall(r'<p class="error-text" id="id_([\w-]+)_error">([^<]+)</p>', html)
    return {name: unescape(text) for name, text in errors}


def filled(html: str) -> dict[str, str]:
    return {name: value for name, value in fields_of(html).items() if value}


def test_each_has_a_field_with_range_default_and_help(alice: User) -> None:
    html = text_of(signed_in(alice), URL)
    names = [f"parameter-{name}" for name in (*parameters.KNOWN, "of_tomorrow")]
    assert fields_of(html) == dict.fromkeys(names, ""), "nothing is sent of what nobody set"
    assert sorted(names, key=lambda name: html.index(f'name="{name}"')) == names
    assert "The rank of the LoRA. 1 to 256; 16 if empty." in html
    assert re.search(r'name="parameter-rank"[^>]* placeholder="16"[^>]* inputmode="numeric"', html)
    assert re.search(r'name="parameter-guidance"[^>]* placeholder="1"[^>]* inputmode="decimal"', html)
    assert '<option value="" selected>Default (yes)</option>' in html
    assert '<option value="" selected>Default (auto)</option>' in html
    assert "Not known to this version: the provider checks it." in html
    assert '<details id="advanced" class="more advanced" >' in html, "it is folded"


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("rank", "32", 32),
        ("rank", " ３２ ", 32),
        ("rank", "", None),
        ("guidance", "2,5", 2.5),
        ("guidance", "3", 3.0),
        ("hold_out", "false", False),
        ("hold_out", "true", True),
        ("hold_out", "", None),
        ("memory", "small", "small"),
        ("memory", "", None),
        ("of_tomorrow", "yes", "yes"),
        ("of_tomorrow", "", None),
    ],
)
def test_what_is_typed_is_read_in_its_type_and_empty_is_not_sent(
    alice: User, dataset: Dataset, name: str, typed: str, value: Any
) -> None:
    signed_in(alice).post(URL, form_data(dataset, **{f"parameter-{name}": typed}))
    expected = {} if value is None else {name: value}
    stored = Job.objects.get().parameters
    assert stored == expected
    assert list(map(type, stored.values())) == list(map(type, expected.values()))


@pytest.mark.parametrize(
    ("name", "typed", "sentence"),
    [
        ("rank", "0", "Rank must be a whole number from 1 to 256."),
        ("rank", "16; 999", "Rank must be a whole number from 1 to 256."),
        ("rank", "1.5", "Rank must be a whole number from 1 to 256."),
        ("rank", "1; 2; 3; 4; 5; 6; 7", "Enter at most 6 values."),
        ("warmup_steps", "1.000", "Did you mean 1000? Write it without a separator."),
        ("gradient_clipping", "0", "Gradient clipping must be a number from 0.001 to 1,000."),
        ("guidance", "much", "Guidance must be a number from 0 to 30."),
        ("hold_out", "perhaps", "Hold out must be one of: true, false."),
        ("memory", "tiny", "Memory must be one of: auto, full, int8, small."),
        ("of_tomorrow", "x" * 201, "Ensure this value has at most 200 characters (it has 201)."),
    ],
)
def test_a_wrong_one_is_said_at_its_field(
    alice: User, dataset: Dataset, name: str, typed: str, sentence: str
) -> None:
    typed_in = {f"parameter-{name}": typed, "parameter-seed": "7"}
    response = signed_in(alice).post(URL, form_data(dataset, **typed_in), headers=HTMX)
    html = response.content.decode()
    assert response.status_code == 422
    assert html.lstrip().startswith('<form id="job-form"')
    assert errors_of(html) == {f"parameter-{name}": sentence}
    assert 'class="more advanced" open' in html
    assert fields_of(html)["parameter-seed"] == "7", "what was typed stays"
    assert not Job.objects.exists()


def test_training_again_fills_them(alice: User, dataset: Dataset) -> None:
    given = {"rank": 32, "hold_out": False, "guidance": 2.5, "memory": "auto"}
    job = make_job(alice, "ready", dataset=dataset, parameters=given)
    html = text_of(signed_in(alice), f"{URL}?again={job.pk}")
    assert filled(html) == {
        "parameter-rank": "32",
        "parameter-hold_out": "false",
        "parameter-guidance": "2.5",
        "parameter-memory": "auto",
    }
    assert 'class="more advanced" open' in html
    signed_in(alice).post(URL, form_data(dataset, **filled(html)))
    assert Job.objects.latest("pk").parameters == given


def test_a_connection_without_parameters_has_no_section(alice: User, vendor: Connection) -> None:
    html = text_of(signed_in(alice), f"{PIECE}?connection={vendor.pk}")
    assert fields_of(html) == {}


def test_another_connection_keeps_what_was_typed_and_says_what_it_does_not_take(
    alice: User, vendor: Connection, engine: Connection
) -> None:
    client = signed_in(alice)
    typed = {"parameter-rank": "16; 32", "parameter-hold_out": "false", "parameter-seed": ""}
    there = client.get(PIECE, {"connection": vendor.pk, **typed}).content.decode()
    assert fields_of(there) == {"parameters": "rank=16; 32, hold_out=false"}
    assert "“Vendor” does not take these. Clear the field to train without them." in there
    back = client.get(PIECE, {"connection": engine.pk, **fields_of(there)}).content.decode()
    assert filled(back) == {"parameter-rank": "16; 32", "parameter-hold_out": "false"}


def test_what_the_connection_does_not_take_is_refused_and_stays(
    alice: User, dataset: Dataset, vendor: Connection
) -> None:
    """As without a script, where the fields of the connection before are sent to another one."""
    client = signed_in(alice)
    data = form_data(dataset, connection=vendor.pk, **{"parameter-rank": "32"})
    response = client.post(URL, data)
    html = response.content.decode()
    assert response.status_code == 422
    assert "“Vendor” does not take “rank”" in errors_of(html)["parameters"]
    assert fields_of(html) == {"parameters": "rank=32"}
    assert client.post(URL, {**data, "parameter-rank": "", "parameters": ""}).status_code == 302
    assert Job.objects.get().parameters == {}


def test_without_a_script_a_button_shows_those_of_the_selected_connection(
    alice: User, dataset: Dataset, vendor: Connection
) -> None:
    data = form_data(dataset, connection=vendor.pk, show="parameters", **{"parameter-rank": "32"})
    html = text_after(signed_in(alice), data)
    assert fields_of(html) == {"parameters": "rank=32"}
    assert 'value="Day to night"' in html
    assert re.search(rf'value="{vendor.pk}"[^>]* checked|checked value="{vendor.pk}"', html)
    assert not Job.objects.exists()


def text_after(client: Client, data: dict[str, Any]) -> str:
    response = client.post(URL, data)
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(
    ("line", "stored"),
    [
        ("rank=32, hold_out=false", {"rank": 32, "hold_out": False}),
        ("rank=32; seed=7", {"rank": 32, "seed": 7}),
        ("rank=32,seed=7", {"rank": 32, "seed": 7}),
        ("guidance=2,5, rank=32", {"guidance": 2.5, "rank": 32}),
        ('{"rank": 32, "of_tomorrow": true}', {"rank": 32, "of_tomorrow": True}),
    ],
)
def test_scripts_may_send_them_in_one_line(
    alice: User, dataset: Dataset, line: str, stored: dict[str, Any]
) -> None:
    signed_in(alice).post(URL, form_data(dataset, parameters=line))
    assert Job.objects.get().parameters == stored


@pytest.mark.parametrize(
    ("line", "field", "sentence"),
    [
        ("rank=999", "parameter-rank", "Rank must be a whole number from 1 to 256."),
        ("rank", "parameters", "Write each as name=value, for example rank=32, seed=7."),
        ('{"rank": 999}', "parameters", "rank must be a number from 1 to 256."),
        ("x=1", "parameters", "does not take “x”"),
        ("rank=1, seed=9", "parameters", "seed has a field of its own, and two values."),
    ],
)
def test_a_wrong_line_is_said(alice: User, dataset: Dataset, line: str, field: str, sentence: str) -> None:
    data = form_data(dataset, parameters=line, **{"parameter-seed": "7"})
    response = signed_in(alice).post(URL, data)
    assert response.status_code == 422
    assert sentence in errors_of(response.content.decode())[field]


@pytest.mark.parametrize("depth", [1, 900, 940, 3000])
@pytest.mark.usefixtures("without_collector")
def test_a_nested_line_breaks_nothing(alice: User, dataset: Dataset, depth: int) -> None:
    client, line = signed_in(alice), f'{{"rank": {"[" * depth}{"]" * depth}}}'
    assert client.get(PIECE, {"parameters": line}).status_code == 200
    assert client.post(URL, form_data(dataset, parameters=line)).status_code == 422


def test_a_question_keeps_what_was_typed(alice: User, dataset: Dataset) -> None:
    data = form_data(dataset, steps="300; 500", **{"parameter-rank": "32", "parameter-hold_out": "false"})
    html = text_after(signed_in(alice), data)
    assert "This starts 2 jobs" in html
    assert filled(html) == {"parameter-rank": "32", "parameter-hold_out": "false"}
