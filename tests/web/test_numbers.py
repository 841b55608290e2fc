"""Numbers as people of any country type them: read, or asked about, and never two paid jobs by accident."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.forms import BaseForm, IntegerField
from hypothesis import given
from hypothesis import strategies as st

from finetune_portal.accounts.models import User
from finetune_portal.costs.models import Budget
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job, Limits, Preset
from finetune_portal.web.number_fields import NumberField, NumbersField, TypedNumbers
from finetune_portal.web.numbers import NumberError, parse_numbers
from tests.people import form_data, signed_in

SCRIPTS = ("0123456789", "٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "०१२३४५६७८९", "０１２３４５６７８９")
THOUSANDS = [",", ".", " ", "\u00a0", "\u202f", "\u2009", "'", "’", "_", "٬"]
DECIMALS = [".", ",", "٫", "，", "．"]
MADE_BY_A_SCRIPT = ("UploadForm", "size")
BETWEEN = ["; ", ";", ", ", " ; ", "\n", "؛ ", "، "]
rates = st.decimals("0.0000001", "0.01", places=7)
scripts = st.sampled_from(SCRIPTS)


def in_script(text: str, digits: str) -> str:
    return text.translate(str.maketrans(SCRIPTS[0], digits))


@given(st.integers(1, 10**7), st.sampled_from(THOUSANDS), scripts)
def test_a_whole_number_with_separators_is_asked_about_with_its_reading(
    number: int, separator: str, digits: str
) -> None:
    text = in_script(f"{number:,}".replace(",", separator), digits)
    if number < 1000:
        assert parse_numbers(text, int) == [number]
        return
    with pytest.raises(NumberError) as raised:
        parse_numbers(text, int)
    assert raised.value.readings[0] == [number]


@given(rates, st.sampled_from(DECIMALS), scripts)
def test_a_decimal_comma_is_a_decimal_point(number: Any, point: str, digits: str) -> None:
    assert parse_numbers(in_script(f"{number:f}".replace(".", point), digits), float) == [float(number)]


@given(st.lists(st.integers(1, 20_000), min_size=1, unique=True), st.sampled_from(BETWEEN), scripts)
def test_several_values_are_read_in_order(numbers: list[int], between: str, digits: str) -> None:
    assert parse_numbers(in_script(between.join(map(str, numbers)), digits), int) == numbers


@given(
    st.lists(st.decimals("0.0000001", "0.01", places=7), min_size=1, unique=True), st.sampled_from(BETWEEN)
)
def test_several_decimals_are_read_in_order(numbers: list[Any], between: str) -> None:
    text = between.join(f"{number:f}".replace(".", ",") for number in numbers)
    assert parse_numbers(text, float) == [float(number) for number in numbers]


@given(st.text(alphabet="0123456789.,'_ -+eE\u202f٠٬،x", max_size=20), st.sampled_from([int, float]))
def test_whatever_is_typed_only_a_separator_makes_two_values(text: str, kind: type[float]) -> None:
    try:
        numbers = parse_numbers(text, kind)
    except NumberError:
        return
    assert len(numbers) == 1 or ", " in text.replace("\u202f", " ") or "،" in text


@pytest.mark.parametrize(
    ("typed", "question"),
    [
        ("2,500", "Did you mean 2500? Write it without a separator, or write 2; 500 for 2 values."),
        ("1 500", "Did you mean 1500? Write it without a separator, or write 1; 500 for 2 values."),
        ("1\u202f500", "Did you mean 1500?"),
        ("1.500", "Did you mean 1500? Write it without a separator."),
        ("1’500", "Did you mean 1500? Write it without a separator."),
        ("١٬٥٠٠", "Did you mean 1500?"),
        ("300,1000", "Did you mean 2 values? Write 300; 1000."),
        ("300 1000", "Did you mean 2 values? Write 300; 1000."),
        ("300 600", "Did you mean 2 values? Write 300; 600."),
        ("1,500; 3,000", "Did you mean 2 values? Write 1500; 3000"),
        ("2,5", "Did you mean 2 values? Write 2; 5."),
        ("2.5", "Enter the steps as a whole number such as 300."),
    ],
)
def test_steps_that_could_be_read_in_two_ways_start_nothing(
    alice: User, dataset: Dataset, typed: str, question: str
) -> None:
    client = signed_in(alice)
    for confirmed in ("", "2"):
        answer = client.post("/jobs/new/", form_data(dataset, steps=typed, confirmed=confirmed))
        assert answer.status_code == 422
        assert question in answer.content.decode()
    assert not Job.objects.exists()


@pytest.mark.parametrize("typed", ["0,0004", "0.0004", ",0004", "4e-4", "4E−4", "٠٫٠٠٠٤"])
def test_a_learning_rate_of_any_country_is_read(alice: User, dataset: Dataset, typed: str) -> None:
    signed_in(alice).post("/jobs/new/", form_data(dataset, learning_rate=typed))
    assert [job.learning_rate for job in Job.objects.all()] == [0.0004]


def test_a_preset_reads_numbers_as_the_form_does(alice: User) -> None:
    client = signed_in(alice)
    data = {"preset_name": "Ours", "learning_rate": "0,0004", "steps": "1.000"}
    refused = client.post("/jobs/new/presets/", data)
    assert "Did you mean 1000?" in refused.content.decode()
    client.post("/jobs/new/presets/", {**data, "steps": "1000"})
    preset = Preset.objects.get()
    assert (preset.learning_rate, preset.steps) == (0.0004, 1000)


def test_a_limit_of_a_thousand_is_no_limit_of_one(dana: User) -> None:
    refused = signed_in(dana).post("/settings/limits/", {"per_team_month": "1.000"})
    assert "Did you mean 1000?" in refused.content.decode()
    assert not Limits.objects.exclude(per_team_month=None).exists()


def test_the_field_says_how_several_values_are_written(alice: User) -> None:
    html = signed_in(alice).get("/jobs/new/").content.decode()
    assert "several values as 300; 1000" in html
    assert "such as 0.0001; 0.0004" in html


@pytest.mark.parametrize(
    ("typed", "amount"),
    [("12,5", "12.5"), ("0,0375", "0.0375"), ("50", "50"), ("1.1250", "1.125"), ("1500,5", "1500.5")],
)
def test_a_budget_takes_a_decimal_comma(dana: User, typed: str, amount: str) -> None:
    client = signed_in(dana)
    assert client.post("/settings/budgets/", {"amount": typed, "action": "warn"}).status_code == 302
    budget = Budget.objects.get()
    assert budget.amount == Decimal(amount)
    client.post(f"/settings/budgets/{budget.pk}/", {"amount": f"{typed}0" if "," in typed else typed})
    budget.refresh_from_db()
    assert budget.amount == Decimal(amount)


@pytest.mark.parametrize(
    ("typed", "question"),
    [
        ("1.500", "Did you mean 1500? Write it without a separator, or write 1.5."),
        ("2,500", "Did you mean 2500? Write it without a separator, or write 2.5."),
        ("1.125", "Did you mean 1125? Write it without a separator, or write 1.1250."),
        ("1.234,56", "Did you mean 1234.56? Write it like that."),
        ("1 500", "Did you mean 1500? Write it without a separator."),
        ("9" * 5000, "Enter the amount as a number, such as 50 or 12.50."),
        ("1e99999999999999999999", "Enter the amount as a number, such as 50 or 12.50."),
        ("50; 60", "Enter the amount as a number, such as 50 or 12.50."),
        ("fifty", "Enter the amount as a number, such as 50 or 12.50."),
    ],
)
def test_a_budget_that_could_be_read_in_two_ways_is_asked_about(
    dana: User, typed: str, question: str
) -> None:
    client = signed_in(dana)
    refused = client.post("/settings/budgets/", {"amount": typed, "action": "warn"})
    assert (refused.status_code, question in refused.content.decode()) == (422, True)
    assert not Budget.objects.exists()
    client.post("/settings/budgets/", {"amount": "12.5", "action": "warn"})
    budget = Budget.objects.get()
    change = client.post(f"/settings/budgets/{budget.pk}/", {"amount": typed, "action": "warn"}, follow=True)
    assert (change.status_code, question in change.content.decode()) == (422, True)
    assert f'value="{typed}" required aria-invalid="true"' in change.content.decode(), "what was typed stays"
    budget.refresh_from_db()
    assert budget.amount == Decimal("12.5")


def test_the_amount_of_a_budget_is_taken_back_as_it_is_shown(dana: User) -> None:
    client = signed_in(dana)
    client.post("/settings/budgets/", {"amount": "1.1250", "action": "warn"})
    shown = re.search(r'name="amount" value="([^"]+)"', client.get("/settings/budgets/").content.decode())
    assert shown
    budget = Budget.objects.get()
    client.post(f"/settings/budgets/{budget.pk}/", {"amount": shown[1], "action": "stop"})
    budget.refresh_from_db()
    assert (budget.amount, budget.action) == (Decimal("1.125"), "stop")


def test_a_number_whose_bounds_leave_one_reading_is_not_asked_about() -> None:
    """A strength of 1.250 can be no 1250."""
    assert NumberField(min_value=0, max_value=10).clean("1.250") == 1.25
    assert NumberField(min_value=0, max_value=10).clean("0,8") == 0.8
    with pytest.raises(ValidationError, match=r"Did you mean 1250\?"):
        NumberField(min_value=0, max_value=10_000).clean("1.250")
    several = NumbersField(kind=float, least=0, most=10_000, count=4)
    assert several.clean("0,5; 1,5") == [0.5, 1.5]
    with pytest.raises(ValidationError, match=r"2 values\? Write 0.5; 1250, or write 0.5; 1.25 for"):
        several.clean("0,5; 1.250")


def test_every_number_that_a_person_types_is_typed_as_text() -> None:
    """A browser's own number field takes no comma, or drops it."""
    forms_of_numbers = [
        (form, name, field)
        for form in all_forms(BaseForm)
        for name, field in getattr(form, "base_fields", {}).items()
        if isinstance(field, IntegerField)
    ]
    assert len(forms_of_numbers) >= 8
    for form, name, field in forms_of_numbers:
        if form.__module__.startswith("finetune_portal") and (form.__name__, name) != MADE_BY_A_SCRIPT:
            assert isinstance(field, TypedNumbers), f"{form.__name__}.{name}"
            assert field.widget.input_type == "text"


def all_forms(kind: type[BaseForm]) -> Iterator[type[BaseForm]]:
    for each in kind.__subclasses__():
        yield each
        yield from all_forms(each)
