"""What a deletion takes along."""

from __future__ import annotations

from django import template

from finetune_portal.deletion import services
from finetune_portal.jobs.models import Job
from finetune_portal.projects.models import Project

register = template.Library()


@register.filter
def what_stays(job: Job) -> str:
    """What the provider of a job keeps, in sentences; empty where the model file is gone there, too."""
    return "" if job.file_gone_at else services.what_stays([job])


@register.filter
def stays_public(job: Job) -> bool:
    """Whether its model would stay public at the provider."""
    return not job.file_gone_at and services.are_public([job])


@register.filter
def takes_dataset(job: Job) -> bool:
    """Whether its dataset was deleted before, and goes with it."""
    dataset = job.dataset
    return bool(dataset and dataset.deleted_at and services.datasets_gone_with([job]))


@register.simple_tag
def contents_of(project: Project) -> services.Contents:
    """What would go with a project that is deleted."""
    return services.contents_of(project)
