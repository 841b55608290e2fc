"""Delete a model, a job, a dataset with its jobs, or a project with both, and all that was made of them.

The rows go in one transaction, which also names what the worker has still to delete: files, and copies at the
providers (finishing.py). What stays of it is a line of the audit record, which names no content.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError, Q, QuerySet
from django.utils.text import get_text_list
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import names_of, record, redact, redact_parts, redact_values
from finetune_portal.connections import declared
from finetune_portal.connections.models import Connection
from finetune_portal.costs import budgets
from finetune_portal.costs.services import forget_titles
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.deletion.models import AtProvider, Deletion
from finetune_portal.jobs import access, costs, limits, presets
from finetune_portal.jobs.models import DeletedJob, Job, Training
from finetune_portal.jobs.sync import samples
from finetune_portal.jobs.table import saved_views
from finetune_portal.jobs.timeline import Source, note
from finetune_portal.playground import bills, results
from finetune_portal.playground.models import Generation, Input
from finetune_portal.projects import access as projects
from finetune_portal.projects.models import Project
from finetune_portal.providers import segmind
from finetune_portal.providers.registry import PROVIDERS
from finetune_portal.registry.models import Model, ModelFile
from finetune_portal.storage.partial import partial_path
from finetune_portal.web.errors import ActionError
from finetune_portal.webhooks.models import Delivery

OF_RUNS = ("model.run", "model.run-again", "model.forget-run")  # actions of the record
CAPABILITY = "delete"  # of a provider (docs/engine.md)
NOT_ENDED = "“{name}” has not ended. Cancel or withdraw it, or wait, then delete."
NO_MODEL = "“{name}” has no model to delete, or it was deleted before."
IS_GONE = "“{name}” was deleted meanwhile."
RUNNING = "A run of {model} has not ended. Wait for it, then delete."
PUBLIC = "A public model stays usable by others until it is made private."
IS_CHECKED = "“{name}” is being uploaded or checked. Wait, then delete."
NOT_YOURS = "“{name}” was started by {owner}. Only {owner} or an admin can delete it."
NOT_STARTED_HERE = "“{name}” was started outside the portal. Only an admin can delete it."
USED_OUTSIDE = (
    "“{job}” is outside of this project and was trained on its dataset “{dataset}”. Move or delete it first."
)
NOT_SEEN = "Somebody else’s job was started with it, so only an admin can delete it."
CAME_IN = "Something came into the project meanwhile. Look at what belongs to it, then delete."


class Contents(NamedTuple):
    """What goes with a project. `stays`: what its providers keep, in sentences."""

    job_count: int
    dataset_count: int
    preset_count: int
    stays: str

    @property
    def text(self) -> str:
        """Such as "2 jobs, 1 dataset and 1 preset"; empty where there is nothing."""
        counts = ((self.job_count, "job"), (self.dataset_count, "dataset"), (self.preset_count, "preset"))
        named = [f"{number:,} {name}{'s' * (number != 1)}" for number, name in counts if number]
        return get_text_list(named, "and")

    @property
    def has_models(self) -> bool:
        """Whether models, samples or runs may have been made of it."""
        return bool(self.job_count or self.dataset_count)


def delete_job(job: Job, *, actor: User) -> None:
    """Delete an ended job, its model and all that was made of them.

    Its dataset goes with it where that was deleted before and stayed for this job alone.
    """
    with transaction.atomic():
        jobs = _locked_one(job)
        rows = Dataset.objects.select_for_update(of=("self",)).filter(jobs=jobs[0])
        list(rows)  # the last two take it in turn
        counts = _delete(jobs, datasets_gone_with(jobs), thing=job, actor=actor)
        record(actor, "job.delete-all", job, **counts)


def datasets_gone_with(jobs: list[Job]) -> list[Dataset]:
    """The datasets that were deleted before, and stayed for these jobs alone."""
    deleted = Dataset.objects.filter(deleted_at__isnull=False, jobs__in=jobs).distinct()
    return list(deleted.exclude(jobs__in=Job.objects.exclude(pk__in=[job.pk for job in jobs])))


def why_not(jobs: list[Job], *, actor: User) -> dict[int, str]:
    """Why a person cannot delete some of these jobs now, in sentences, by the key of the job."""
    active = Generation.objects.filter(job__in=jobs, state__in=Generation.ACTIVE)
    run_now = set(active.values_list("job_id", flat=True))
    may_change = access.right_to_change(actor)
    sentences = {}
    for job in jobs:
        if not may_change(job):
            sentences[job.pk] = _not_yours(job)
        elif not job.has_ended:
            sentences[job.pk] = NOT_ENDED.format(name=job.name)
        elif job.pk in run_now:
            sentences[job.pk] = RUNNING.format(model=f"“{job.name}”")
    return sentences


def delete_jobs(jobs: list[Job], *, actor: User) -> tuple[list[Job], list[str]]:
    """Delete each of these jobs that may be deleted. Return those, and a sentence for each other."""
    sentences = why_not(jobs, actor=actor)
    deleted, failures = [], list(sentences.values())
    for job in jobs:
        if job.pk in sentences:
            continue
        try:
            delete_job(job, actor=actor)
            deleted.append(job)
        except ActionError as exc:
            failures.append(str(exc))
    return deleted, failures


def delete_model(job: Job, *, actor: User) -> None:
    """Delete the model of an ended job: the portal's copy, samples and runs. The job and its history stay.

    Entries of the record about its runs lose their details, as these have prompts. Raises ActionError.
    """
    with transaction.atomic():
        jobs = _locked_one(job)
        if not jobs[0].can_delete_model:
            raise ActionError(NO_MODEL.format(name=job.name))
        runs, inputs = _runs_and_inputs(jobs, [], actor)
        files = list(ModelFile.objects.filter(model__job=job))
        redact(inputs)
        redact([job], actions=OF_RUNS)
        record(actor, "job.delete-model", job, name=job.name, models=len(files), runs=len(runs))
        places = [*_places_of(jobs, files), *_places_of_runs(runs, inputs)]
        copies = [*_jobs_at_providers(jobs), *_files_at_providers([], runs, inputs)]
        _have_deleted(job, places, copies)
        _delete_models(jobs, runs, inputs)
        training = Training.objects.filter(job=job)
        training.update(lease=None, samples=[], updated_at=now())
        if declared.lists_jobs(jobs[0].connection):  # elsewhere it goes on until the bill is there
            training.update(is_over=True)
        Job.objects.filter(pk=job.pk).update(
            is_public=jobs[0].is_public and not _deletes(jobs[0]),
            model_deleted_at=now(),
            model_deleted_by=actor,
            file_check_requested_at=None,
            file_kept_at=None,
            file_error="",
            updated_at=now(),
        )
        note(job, "The model was deleted", source=Source.PERSON, actor=actor)


def delete_dataset(dataset: Dataset, *, actor: User) -> None:
    """Delete a dataset, the versions made of it, the jobs trained on them, and all that was made of those."""
    with transaction.atomic():
        datasets = list(Dataset.objects.filter(Q(pk=dataset.pk) | Q(parent=dataset)))
        _check_are_at_rest(datasets)
        rows = Job.objects.filter(dataset__in=datasets)
        if not all(projects.may_see(actor, job.project) for job in rows.select_related("project")):
            raise ActionError(NOT_SEEN)
        jobs = _locked(rows)
        for job in jobs:
            if not access.may_change(actor, job):
                raise ActionError(_not_yours(job))
        counts = _delete(jobs, datasets, thing=dataset, actor=actor)
        record(actor, "dataset.delete-all", dataset, **counts)


def delete_project(project: Project, *, actor: User) -> None:
    """Delete a project with its jobs, its datasets, and all that was made of them.

    What it cost stays in the sums of persons and connections. Entries of the record that name it, also those
    of what was moved out of it, lose their details. Raises ActionError while something of it goes on, or
    where something outside of it needs what is in it.
    """
    with transaction.atomic():
        limits.lock()  # no job comes in meanwhile
        jobs = _locked(Job.objects.filter(project=project))
        datasets = list(Dataset.objects.select_for_update().filter(project=project).order_by("pk"))
        _check_are_at_rest(datasets)
        outside = Job.objects.filter(dataset__in=datasets).exclude(project=project)
        if job := outside.select_related("dataset").first():
            raise ActionError(USED_OUTSIDE.format(job=job.name, dataset=job.dataset))
        left = Dataset.objects.filter(deleted_at__isnull=False, jobs__project=project).distinct()
        others = Job.objects.exclude(project=project)
        datasets += left.exclude(pk__in=[each.pk for each in datasets]).exclude(jobs__in=others)
        saved_views.forget_project(project)
        counts = _delete(jobs, datasets, thing=project, actor=actor)
        locked = budgets.lock_of(project)
        costs.forget_project(project)
        # What comes from here on waits, and is refused. A budget that came before would be locked after its
        # project, which whoever changes it locks before: a deadlock.
        list(Project.objects.select_for_update().filter(pk=project.pk))
        if project.budgets.exclude(pk__in=locked).exists():
            raise ActionError(CAME_IN)
        _redact_project(project)
        record(actor, "project.delete-all", project, **counts)
        _delete_empty(project)


def contents_of(project: Project) -> Contents:
    """What would go with the project now, for the question before it."""
    jobs = project.jobs.select_related("connection")
    datasets = project.datasets.filter(deleted_at=None)
    return Contents(len(jobs), datasets.count(), project.presets.count(), what_stays(jobs))


def are_public(jobs: Iterable[Job]) -> bool:
    """Whether a model of these stays public at its provider when it is deleted here."""
    return any(job.is_public and not _deletes(job) for job in jobs)


def what_stays(jobs: Iterable[Job]) -> str:
    """Say what the providers of these jobs keep, in sentences."""
    jobs = list(jobs)
    providers = {job.connection.provider for job in jobs if job.sent_at and not _deletes(job)}
    known = {each: PROVIDERS[each].keeps for each in providers if each in PROVIDERS}
    public = [PUBLIC] if are_public(jobs) else []
    return " ".join([known.get(each, segmind.KEEPS) for each in sorted(providers)] + public)


def _not_yours(job: Job) -> str:
    owner = job.owner.name if job.owner else ""
    return NOT_YOURS.format(name=job.name, owner=owner) if owner else NOT_STARTED_HERE.format(name=job.name)


def _delete_empty(project: Project) -> None:
    """Raises ActionError where something came in since its contents were read."""
    try:
        project.delete()
    except ProtectedError:
        raise ActionError(CAME_IN) from None


def _locked(jobs: QuerySet[Job]) -> list[Job]:
    """Raises ActionError unless each of them has ended."""
    locked = list(jobs.select_for_update(of=("self",)).select_related("connection", "owner").order_by("pk"))
    for job in locked:
        if not job.has_ended:
            raise ActionError(NOT_ENDED.format(name=job.name))
    return locked


def _locked_one(job: Job) -> list[Job]:
    """Raises ActionError unless it has ended, and where somebody else was faster."""
    jobs = _locked(Job.objects.filter(pk=job.pk))
    if not jobs:
        raise ActionError(IS_GONE.format(name=job.name))
    return jobs


def _check_are_at_rest(datasets: list[Dataset]) -> None:
    for each in datasets:
        if each.state in (Dataset.State.MAKING, Dataset.State.CHECKING):
            raise ActionError(IS_CHECKED.format(name=each))


def _redact_project(project: Project) -> None:
    """Remove what the record says of a project that is locked, so that no entry comes after it."""
    names = names_of(project)
    redact_values(("job.project", "dataset.project"), names)
    redact_parts(("budget.set", "budget.remove"), "of", names)  # also of budgets that are gone
    presets.forget_project(project, names)
    redact([project, *project.budgets.all()])


def _delete(
    jobs: list[Job], datasets: list[Dataset], *, thing: Job | Dataset | Project, actor: User
) -> dict[str, int]:
    """Delete the rows, and return how many of each kind, for the record of it."""
    runs, inputs = _runs_and_inputs(jobs, datasets, actor)
    files = list(ModelFile.objects.filter(model__job__in=jobs))
    copies = [*_jobs_at_providers(jobs), *_files_at_providers(datasets, runs, inputs)]
    places = [*_places_of(jobs, files), *_places_of_datasets(datasets), *_places_of_runs(runs, inputs)]
    redact([*jobs, *datasets, *inputs])
    forget_titles([job.pk for job in jobs])
    bills.wait_for_deleted(jobs)
    _have_deleted(thing, places, copies)
    DeletedJob.objects.bulk_create(
        DeletedJob(connection=each.connection, request_id=each.request_id or "", nonce=each.nonce)
        for each in jobs
    )
    _delete_models(jobs, runs, inputs)
    Delivery.objects.filter(job__in=jobs).delete()
    Job.objects.filter(pk__in=[job.pk for job in jobs]).delete()
    Dataset.objects.filter(pk__in=[dataset.pk for dataset in datasets]).delete()
    return {"jobs": len(jobs), "datasets": len(datasets), "models": len(files), "runs": len(runs)}


def _have_deleted(thing: Job | Dataset | Project, places: list[Path], copies: list[AtProvider]) -> None:
    """Have the worker delete these files, and these copies at providers."""
    Deletion.objects.create(
        thing=f"{thing._meta.model_name} {thing.pk}",
        places=[str(path.relative_to(settings.DATA_DIR)) for path in places],
        at_provider=copies,
    )


def _delete_models(jobs: list[Job], runs: list[Generation], inputs: list[Input]) -> None:
    generations = Generation.objects.filter(pk__in=[run.pk for run in runs])
    generations.filter(compare_to__isnull=False).delete()
    generations.delete()
    Input.objects.filter(pk__in=[image.pk for image in inputs]).delete()
    ModelFile.objects.filter(model__job__in=jobs).delete()
    Model.objects.filter(job__in=jobs).delete()


def _runs_and_inputs(
    jobs: list[Job], datasets: list[Dataset], actor: User
) -> tuple[list[Generation], list[Input]]:
    """The runs of these jobs and on these datasets, and the input pictures that go with them.

    Raises ActionError.
    """
    generations = Generation.objects.filter(Q(job__in=jobs) | Q(input__dataset__in=datasets))
    locked = generations.select_for_update(of=("self",)).order_by(
        "pk"
    )  # as who deletes one with its baseline
    runs = list(locked.select_related("input", "job__project"))
    _check_are_made(runs, actor)
    return runs, _unused_inputs(runs, datasets)


def _check_are_made(runs: list[Generation], actor: User) -> None:
    """Raises ActionError while one is made, also by a model that stays, whose run has a picture that goes."""
    for run in runs:
        if run.is_active:
            is_seen = projects.may_see(actor, run.job.project)
            raise ActionError(RUNNING.format(model=f"“{run.job.name}”" if is_seen else "another model"))


def _unused_inputs(runs: list[Generation], datasets: list[Dataset]) -> list[Input]:
    """The input pictures that no other run uses."""
    ids = {run.input_id for run in runs}
    candidates = Input.objects.filter(Q(pk__in=ids) | Q(dataset__in=datasets))
    others = Generation.objects.filter(input__in=candidates).exclude(pk__in=[run.pk for run in runs])
    return list(candidates.exclude(pk__in=others.values("input")))


def _deletes(job: Job) -> bool:
    return CAPABILITY in job.connection.capabilities


def _jobs_at_providers(jobs: list[Job]) -> list[AtProvider]:
    sent = (job for job in jobs if job.request_id and _deletes(job))
    return [AtProvider(job.connection_id, "job", str(job.request_id)) for job in sent]


def _files_at_providers(
    datasets: list[Dataset], runs: list[Generation], inputs: list[Input]
) -> list[AtProvider]:
    able = {each.pk for each in Connection.objects.all() if CAPABILITY in each.capabilities}
    transfers = Transfer.objects.filter(dataset__in=datasets, connection__in=able).exclude(s3_url="")
    gone = {image.pk for image in inputs}
    hosted = {
        AtProvider(run.connection_id, "file", run.hosted_url)
        for run in runs
        if run.hosted_url and run.input_id in gone and run.connection_id in able
    }
    return [AtProvider(each.connection_id, "file", each.s3_url) for each in transfers] + sorted(hosted)


def _places_of(jobs: list[Job], files: list[ModelFile]) -> list[Path]:
    folders = [samples.path(job.pk, "").parent for job in jobs]
    return folders + [path for file in files for path in (file.path, partial_path(file.path))]


def _places_of_datasets(datasets: list[Dataset]) -> list[Path]:
    return [path for each in datasets for path in (each.path, each.seen_path, each.previews)]


def _places_of_runs(runs: list[Generation], inputs: list[Input]) -> list[Path]:
    """Equal input pictures share a file, which stays for the others."""
    shared = Input.objects.filter(sha256__in={image.sha256 for image in inputs})
    kept = set(shared.exclude(pk__in=[image.pk for image in inputs]).values_list("sha256", flat=True))
    pictures: list[Generation | Input] = [*runs, *(each for each in inputs if each.sha256 not in kept)]
    previews = [results.preview_path(each, edge) for each in pictures for edge in results.EDGES]
    return [each.path for each in pictures] + previews
