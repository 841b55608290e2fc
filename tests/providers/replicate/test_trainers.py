"""What can be trained: the table, open or closed, its weakness said, and about what it costs."""

from __future__ import annotations

from decimal import Decimal

from finetune_portal.providers.contract import Availability, Capability, Handle, Money, Price, Trainer
from finetune_portal.providers.errors import ServerError
from finetune_portal.providers.replicate import REPORT, ReplicateAdapter
from finetune_portal.providers.replicate.trainers import TABLE
from tests.provider import says
from tests.provider.fake import HTML
from tests.providers.failures import failure
from tests.replicate.calls import KONTEXT, PRUNA
from tests.replicate.models import MODELS
from tests.replicate.server import FakeReplicate


def by_id(adapter: ReplicateAdapter) -> dict[str, Trainer]:
    return {trainer.id: trainer for trainer in adapter.trainers()}


def test_the_table_is_what_the_trainers_take() -> None:
    """Two readings of the same facts: this table, and the fake's."""
    trainers = {name: model for name, model in MODELS.items() if model.is_trainer}
    assert TABLE.keys() == trainers.keys()
    for name, model in trainers.items():
        known = TABLE[name]
        parameters = {parameter.name: parameter for parameter in known.trainer.parameters}
        assert list(parameters) == ["steps", "learning_rate"]
        sent = {known.fields.get(each, each): parameter for each, parameter in parameters.items()}
        sent.pop("", None)
        assert {known.dataset_field, known.caption_field, *sent} == model.fields.keys()
        for field, parameter in sent.items():
            bounds = model.fields[field]
            assert (parameter.least, parameter.most) == (bounds.least, bounds.most)
            assert parameter.default == bounds.default
        assert known.is_training == model.is_training
        assert known.a_step in (None, model.price)
        assert known.trainer.model == known.runner.model
        assert known.runner.model in MODELS


def test_a_reported_fault_is_said_and_is_not_called_open(adapter: ReplicateAdapter) -> None:
    trainers = by_id(adapter)
    assert trainers[PRUNA].availability is Availability.OPEN
    assert "run at Replicate alone" in trainers[PRUNA].title
    assert trainers[KONTEXT].availability is Availability.UNKNOWN
    assert "reported to fail" in trainers[KONTEXT].title
    assert (REPORT.availability, REPORT.said_on.year) == (Availability.CLOSED, 2026)


def test_a_trainer_that_replicate_does_not_have_is_closed(
    replicate: FakeReplicate, adapter: ReplicateAdapter
) -> None:
    replicate.closed, replicate.without_version = {KONTEXT}, {PRUNA}
    assert {each.availability for each in adapter.trainers()} == {Availability.CLOSED}


def test_an_answer_that_cannot_be_read_closes_nothing(
    replicate: FakeReplicate, adapter: ReplicateAdapter
) -> None:
    replicate.html_errors_on = {"model"}
    assert type(failure(adapter.trainers)) is ServerError
    replicate.html_errors_on = ()
    replicate.script("model", says(404, HTML))
    assert failure(adapter.trainers).status == 404


def test_a_price_is_about_what_a_page_names_or_none(
    replicate: FakeReplicate, adapter: ReplicateAdapter
) -> None:
    assert adapter.estimate(PRUNA, 1500, 1) == Money(Decimal("6.00"), "USD", Price.ESTIMATE)
    assert adapter.estimate(KONTEXT, 1500, 1) is None
    assert not adapter.capabilities & {Capability.COST, Capability.BALANCE, Capability.LIST}
    assert adapter.cost(Handle("1")) is None
    assert adapter.balance() is None
    assert replicate.requests == []
