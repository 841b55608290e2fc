"""Whether a trainer takes as many input images a pair as a dataset has."""

from __future__ import annotations

from finetune_portal.connections import trainers
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset


def refusal(dataset: Dataset | None, connection: Connection, trainer: str) -> str:
    """Why this trainer cannot train the dataset; empty where it can, or where the dataset is not checked."""
    taker = trainers.find(connection, trainer)
    if dataset is None or taker is None or dataset.most_inputs <= taker.most_inputs:
        return ""
    has = f"This dataset has pairs with {dataset.most_inputs} input images"
    return f"{has}; {taker.title} takes {taker.most_inputs}."
