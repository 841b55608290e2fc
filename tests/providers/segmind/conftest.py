"""A fake provider and a client of it, for one test each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from finetune_portal.providers.segmind import SegmindClient, SubmitRequest
from tests.provider import KEY, ScriptedProvider

SUBMIT = SubmitRequest(
    name="fluxkontexttest1",
    data_source_path="DATA_SOURCE_PATH",
    instance_prompt="Change the hair color of the woman to bright red",
    learning_rate=0.0004,
    steps=300,
)


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture
def client(provider: ScriptedProvider) -> Iterator[SegmindClient]:
    with closing(SegmindClient(provider.url, KEY)) as made:
        yield made
