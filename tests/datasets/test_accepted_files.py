"""One table tells the check, the repair and the browser what a dataset may hold."""

from __future__ import annotations

import io
import json
import re
from collections import Counter

import pytest
from django.utils.html import escape
from PIL import Image

from finetune_portal.accounts.models import User
from finetune_portal.datasets import checker
from finetune_portal.datasets.checker import accepted, file_types
from tests.people import signed_in


@pytest.mark.django_db
def test_the_page_that_takes_a_dataset_has_the_table(alice: User) -> None:
    page = signed_in(alice).get("/jobs/new/").content.decode()
    element = re.search(r'<script id="accepted-files" type="application/json">(.*?)</script>', page)
    assert element
    assert json.loads(element[1]) == json.loads(json.dumps(checker.accepted_files()))
    assert escape("<script>") not in element[1]


def test_an_ending_and_a_word_mean_one_thing() -> None:
    endings = Counter(ending for each in accepted.PICTURES for ending in each.endings + each.renamed)
    endings.update((accepted.CAPTION_ENDING, *accepted.RENAMED_CAPTIONS))
    assert set(endings.values()) == {1}
    assert all(ending == ending.lower() and ending.startswith(".") for ending in endings)
    assert not set(accepted.START) & set(accepted.END)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
def test_a_type_is_known_by_its_first_bytes(kind: str) -> None:
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, kind)
    picture = file_types.picture_type(data.getvalue()[: file_types.HEAD_BYTES])
    assert picture is not None
    assert picture.name == kind
