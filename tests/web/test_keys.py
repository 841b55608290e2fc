"""A primary key from a query string is a number that a database takes, or it is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_portal.web.keys import LARGEST_KEY, parse_key


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", " 1", "1.0", "1e3", "٣", "²", "0x1", str(LARGEST_KEY + 1), "9" * 5000]
)
def test_other_text_is_no_key(text: str) -> None:
    assert parse_key(text) is None


@given(st.integers(min_value=0, max_value=LARGEST_KEY))
def test_every_key_is_read(key: int) -> None:
    assert parse_key(str(key)) == key
    assert parse_key(f"000{key}") == key


@given(st.text(max_size=30))
def test_no_text_is_an_error(text: str) -> None:
    key = parse_key(text)
    assert key is None or 0 <= key <= LARGEST_KEY
