"""What the form of a new job shows of what it will start: where, how many models, and in which time."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import cast

from django import forms
from django.db.models import QuerySet
from django.utils.functional import cached_property

from finetune_portal.accounts.models import User
from finetune_portal.connections import declared
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import choices, durations, presets
from finetune_portal.jobs.expected import Expected, PastJobs
from finetune_portal.jobs.offers import Offer, all_of, most_used
from finetune_portal.jobs.parameter_fields import field_name
from finetune_portal.jobs.parameter_forms import ParametersMixin
from finetune_portal.jobs.presets import PresetCard
from finetune_portal.providers.parameter import ParameterError
from finetune_portal.web.keys import parse_key


class SummaryMixin(ParametersMixin):
    """For a form of `user` with the fields `dataset`, `steps` and `learning_rate`."""

    user: User
    connections: QuerySet[Connection]

    @property
    def has_choice(self) -> bool:
        """Whether there are several connections to choose from."""
        return len(self.connections) > 1

    @cached_property
    def offers(self) -> list[Offer]:
        """What can be trained where, with what one job takes there where there is a choice."""
        offers = all_of(self.connections, self.taker, self.chosen)
        if len(offers) < 2:
            return offers
        return [replace(each, expected=self._expected_at(each)) for each in offers]

    @cached_property
    def first_offers(self) -> list[Offer]:
        """Those outside the fold: all, if they are few."""
        return most_used(self.offers, self.user)

    @property
    def more_offers(self) -> list[Offer]:
        return [each for each in self.offers if each not in self.first_offers]

    @property
    def gpu(self) -> str:
        """The GPU of a paid job where it is known: a provider's choice, not the hardware of an engine."""
        paid = [each for each in self.connections if not each.is_free]
        takers = paid if self.taker.is_free else [self.taker]
        is_known = all(each.speaks_segmind and not each.is_engine for each in takers)
        return choices.Machine.H100.label if is_known else ""

    @property
    def has_visibility(self) -> bool:
        """Whether the selected connection can make a model public."""
        return declared.has_visibility(self.taker)

    @property
    def has_prices(self) -> bool:
        """Whether the selected connection can tell the price of a job."""
        return declared.has_prices(self.taker)

    @cached_property
    def chosen_dataset(self) -> Dataset | None:
        """The selected dataset, as far as it can be used."""
        chosen = self["dataset"].value()
        pk = parse_key(str(getattr(chosen, "pk", chosen)))
        rows: QuerySet[Dataset] = self.fields["dataset"].queryset  # type: ignore[attr-defined]
        return rows.filter(pk=pk).first() if pk is not None else None

    @property
    def most_inputs(self) -> int:
        """The most input images that a pair of the selected dataset has; 1 until it is checked."""
        return self.chosen_dataset.most_inputs if self.chosen_dataset else 1

    @property
    def pair_count(self) -> int:
        """How many pairs the selected dataset has; 0 until it is checked."""
        return self.chosen_dataset.pair_count if self.chosen_dataset else 0

    @cached_property
    def typed_steps(self) -> list[int]:
        """The numbers of steps typed; none where they are wrong."""
        try:
            return cast("list[int]", self.fields["steps"].clean(self["steps"].value()))
        except forms.ValidationError:
            return []

    @property
    def least_steps(self) -> int:
        return min(self.typed_steps)

    @property
    def most_steps(self) -> int:
        return max(self.typed_steps)

    @cached_property
    def model_count(self) -> int | None:
        """How many models the typed values make; None where they are wrong or too many."""
        names = ("learning_rate", "steps", *map(field_name, self.taken))
        try:
            values = [self.fields[name].clean(self[name].value()) for name in names]
        except forms.ValidationError:
            return None
        count = prod(len(each) for each in values if each and isinstance(each, list))
        return count if count <= choices.MAX_SWEEP_JOBS else None

    @cached_property
    def past_jobs(self) -> PastJobs:
        return PastJobs(self.user, self.taker, self.chosen.id)

    @cached_property
    def expected(self) -> Expected:
        """What one job of what is typed takes, by the team's finished jobs, as far as that is known."""
        try:
            typed = {name: self.typed_value(name) for name in durations.WEIGHTY}
        except (forms.ValidationError, ParameterError):
            return Expected()
        return self.past_jobs.expected(self.taker, self.chosen.id, self.typed_steps, typed, self.most_inputs)

    def _expected_at(self, offer: Offer) -> Expected:
        """The same elsewhere, as long as nothing is typed that only the chosen trainer may take."""
        if offer.is_chosen:
            return self.expected
        if self.has_parameters:
            return Expected()
        steps, inputs = self.typed_steps, self.most_inputs
        return self.past_jobs.expected(offer.connection, offer.trainer.id, steps, {}, inputs)

    @cached_property
    def preset_cards(self) -> list[PresetCard]:
        """The presets, with what a job of each takes where the form trains."""
        return [replace(each, expected=self._expected_of(each)) for each in presets.cards(self.user)]

    def _expected_of(self, card: PresetCard) -> Expected:
        preset = card.preset
        return self.past_jobs.expected(
            self.taker, self.chosen.id, [preset.steps], preset.parameters, self.most_inputs
        )

    @property
    def has_paid_connection(self) -> bool:
        return not all(connection.is_free for connection in self.connections)

    @property
    def has_free_connection(self) -> bool:
        return any(connection.is_free for connection in self.connections)
