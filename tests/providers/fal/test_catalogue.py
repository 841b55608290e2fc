"""What can be trained: the table, open or closed by the catalogue, and what this version does not know."""

from __future__ import annotations

from typing import Any

from finetune_portal.providers.contract import Availability, Trainer
from finetune_portal.providers.errors import RequestRejectedError, ServerError
from finetune_portal.providers.fal import FalAdapter
from finetune_portal.providers.fal.trainers import TABLE
from tests.fal.calls import KLEIN, KONTEXT
from tests.fal.server import FakeFal
from tests.fal.trainers import ENDPOINTS
from tests.provider import says
from tests.providers.fal.conftest import failure, request_for

FLUX_3 = "blackforestlabs/flux-3/klein/base/trainer/edit"
OTHER = "fal-ai/flux-lora-fast-training"


def by_id(adapter: FalAdapter) -> dict[str, Trainer]:
    return {trainer.id: trainer for trainer in adapter.trainers()}


def test_the_table_is_what_the_trainers_take() -> None:
    """Two readings of the same pages: this table, and the fake's."""
    trainers = {name: endpoint for name, endpoint in ENDPOINTS.items() if endpoint.is_trainer}
    assert TABLE.keys() == trainers.keys()
    for name, endpoint in trainers.items():
        known = TABLE[name]
        parameters = {parameter.name: parameter for parameter in known.trainer.parameters}
        assert list(parameters)[:2] == ["steps", "learning_rate"]
        assert {*parameters, known.caption_field} == endpoint.fields.keys()
        for parameter in parameters.values():
            field = endpoint.fields[parameter.name]
            assert parameter.default == field.default
            assert not field.error(parameter.read(parameter.default))
        steps, field = parameters["steps"], endpoint.fields["steps"]
        assert (steps.least, steps.most, steps.step or None) == (field.least, field.most, field.multiple_of)
        assert known.price.a_step == endpoint.price
        if known.trainer.model:
            runner = ENDPOINTS[known.trainer.model]
            assert name in runner.runs
            assert runner.address_fields == (known.image_field,)


def test_open_closed_and_not_in_the_catalogue(fal: FakeFal, adapter: FalAdapter) -> None:
    fal.deprecated, fal.closed = {KONTEXT}, {KLEIN}
    trainers = by_id(adapter)
    assert trainers[KONTEXT].availability is Availability.CLOSED
    assert trainers[KLEIN].availability is Availability.UNKNOWN
    others = {each.availability for name, each in trainers.items() if name not in (KONTEXT, KLEIN)}
    assert others == {Availability.OPEN}


def test_what_this_version_does_not_know_is_last_and_cannot_be_started(
    fal: FakeFal, adapter: FalAdapter
) -> None:
    fal.other_trainers = {OTHER}
    trainers = adapter.trainers()
    assert [each.id for each in trainers if not each.is_known] == [OTHER] == [trainers[-1].id]
    assert trainers[-1].parameters == ()
    assert type(failure(lambda: adapter.submit(request_for(trainer=OTHER)))) is RequestRejectedError
    assert fal.sent("submit") == []


def test_all_pages_of_the_catalogue_are_read(fal: FakeFal, adapter: FalAdapter) -> None:
    fal.other_trainers = {f"fal-ai/trainer-{number}" for number in range(60)}
    assert len(adapter.trainers()) == len(TABLE) + 60


def test_an_unverified_form_is_known_once_the_schema_names_its_field(
    fal: FakeFal, adapter: FalAdapter
) -> None:
    assert by_id(adapter)[FLUX_3].is_known
    known: dict[str, Any] = {"Input": {"properties": {"image_data_url": {}, "images_data_url": {}}}}
    for schemas in ({}, known):
        row = {"endpoint_id": FLUX_3, "openapi": {"components": {"schemas": schemas}}}
        listed = [{"endpoint_id": name, "metadata": {"status": "active"}} for name in TABLE]
        fal.script(
            "models",
            says(200, {"models": listed, "has_more": False}),
            says(200, {"models": [row], "has_more": False}),
        )
        unknown = adapter.trainers()[-1]
        assert (unknown.id, unknown.is_known, unknown.parameters) == (FLUX_3, False, ())


def test_a_catalogue_that_cannot_be_read_is_an_error(fal: FakeFal, adapter: FalAdapter) -> None:
    fal.html_errors_on = {"models"}
    assert type(failure(adapter.trainers)) is ServerError
