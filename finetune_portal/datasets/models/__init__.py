"""The models of datasets: a dataset, its transfers to providers, and previews that are to be made."""

from finetune_portal.datasets.models.dataset import Dataset, Progress, Transfer
from finetune_portal.datasets.models.preview_batch import PreviewBatch

__all__ = ["Dataset", "PreviewBatch", "Progress", "Transfer"]
