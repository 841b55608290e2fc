"""The models of jobs: a job, its history, and what the team saves."""

from finetune_portal.jobs.models.deleted import DeletedJob
from finetune_portal.jobs.models.history import Attempt, JobEvent
from finetune_portal.jobs.models.job import Job, Training, is_cancelled, new_nonce
from finetune_portal.jobs.models.team import Limits, Preset, SavedView

__all__ = [
    "Attempt",
    "DeletedJob",
    "Job",
    "JobEvent",
    "Limits",
    "Preset",
    "SavedView",
    "Training",
    "is_cancelled",
    "new_nonce",
]
