"""What the command palette finds: pages and actions by their words, things by the search of their lists."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse

from finetune_portal.accounts.models import User
from finetune_portal.datasets import access as datasets
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.display import status_text, sweep_label
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.table.query import filtered

MAX_QUERY = 100
MOST = 20
SHOWN = (
    *("name", "state", "error", "provider_status", "cancel_requested_at", "model_deleted_at"),
    *("sweep", "sweep_axes", "learning_rate", "steps", "parameters"),
)
COMMANDS, JOBS, DATASETS, PEOPLE = 8, 6, 3, 2  # the most of each beside the search of the table


@dataclass(frozen=True)
class Result:
    """An option of the palette: a link, a form that is sent, or a button of the page that is pressed.

    `keys` are pressed one after the other on any page. `words` find it, too, and are not shown.
    """

    title: str
    icon: str = "next"
    detail: str = ""
    keys: str = ""
    words: str = ""
    url: str = ""
    form: str = ""  # the address that the form is sent to
    button: str = ""  # the CSS selector of the button
    right: str = "is_active"  # of the person


@dataclass(frozen=True)
class Group:
    title: str
    results: list[Result]


# The addresses are names of the URLconf.
ACTIONS = (
    Result("New job", "plus", keys="n", words="train start create", url="jobs:new", right="can_train"),
    Result("Train the sample", "wand", words="example try", form="datasets:add-sample", right="can_train"),
    Result("Light appearance", "image", words="look theme", button=".looks [value=light]"),
    Result("Dark appearance", "image", words="look theme", button=".looks [value=dark]"),
    Result("System appearance", "image", words="look theme", button=".looks [value=system]"),
    Result("Sign out", "out", words="log out leave", form="accounts:logout"),
)
PAGES = (
    Result("Jobs", keys="g j", words="table home", url="jobs:list"),
    Result("Datasets", keys="g d", words="library images", url="datasets:list"),
    Result("Costs", keys="g c", words="money spent bills", url="costs:list"),
    Result("Team", keys="g t", words="people", url="accounts:team"),
    Result("Notifications", keys="g n", words="history bell", url="notifications:history"),
    Result("Notification channels", words="settings e-mail chat", url="notifications:list"),
    Result("Settings", keys="g s", words="connections api key provider", url="connections:list"),
    Result("Projects", words="settings members private", url="projects:list"),
    Result("Profile", words="account password sessions second factor", url="accounts:profile"),
    Result("Personal tokens", words="api key", url="gateway:tokens"),
    Result("API reference", words="openapi docs", url="gateway:reference"),
    Result("Audit", words="record log", url="audit:list", right="can_administer"),
    Result("Budgets", words="settings money", url="costs:budgets", right="can_administer"),
    Result("Limits", words="settings", url="jobs:limits", right="can_administer"),
    Result("Models in storage", words="settings copies", url="registry:page", right="can_administer"),
    Result("Webhooks", words="settings deliveries", url="webhooks:page", right="can_administer"),
)


def search(user: User, query: str) -> list[Group]:
    """Up to MOST results of what this person may see; without a query the actions and the first pages."""
    query = " ".join(query.split())[:MAX_QUERY]
    actions, pages = (_matching(user, each, query) for each in (ACTIONS, PAGES))
    if not query:
        groups = [Group("Actions", actions), Group("Go to", pages[: MOST - len(actions)])]
    else:
        jobs, models = _jobs(user, query)
        rest = [
            Result(
                f"Search jobs for “{query}”",
                "search",
                url=f"{reverse('jobs:list')}?{urlencode({'q': query})}",
            )
        ]
        groups = [
            Group("Go to", pages[:COMMANDS]),
            Group("Actions", actions[: COMMANDS - len(pages[:COMMANDS])]),
            Group("Models", models),
            Group("Jobs", jobs),
            Group("Datasets", _datasets(user, query)),
            Group("People", _people(query) if user.can_administer else []),
            Group("Search", rest),
        ]
    return [group for group in groups if group.results]


def _matching(user: User, commands: tuple[Result, ...], query: str) -> list[Result]:
    """The commands that the person has the right to, and in which each word of the query begins a word."""
    words = query.casefold().split()
    return [
        replace(each, url=each.url and reverse(each.url), form=each.form and reverse(each.form))
        for each in commands
        if getattr(user, each.right) and all(_begins(word, f"{each.title} {each.words}") for word in words)
    ]


def _begins(word: str, text: str) -> bool:
    return any(each.startswith(word) for each in text.casefold().split())


def _jobs(user: User, query: str) -> tuple[list[Result], list[Result]]:
    """What the search of the table finds, names first: jobs without a model, and jobs with one."""
    candidates = filtered(user, {"q": query}).select_related(None).only(*SHOWN).order_by("-pk")
    jobs = list(candidates.filter(name__icontains=query)[:JOBS])
    if len(jobs) < JOBS:  # each of the two stops where it has enough, which one order by both could not
        jobs += candidates.exclude(name__icontains=query)[: JOBS - len(jobs)]
    has_model = {job.pk: job.state == State.READY and not job.model_deleted_at for job in jobs}
    return (
        [_job(job) for job in jobs if not has_model[job.pk]],
        [_job(job) for job in jobs if has_model[job.pk]],
    )


def _job(job: Job) -> Result:
    icon = "check" if job.state == State.READY else "send"
    detail = " · ".join(filter(None, (sweep_label(job), status_text(job))))
    return Result(job.name, icon, detail=detail, url=job.get_absolute_url())


def _datasets(user: User, query: str) -> list[Result]:
    rows = datasets.search(user, query).prefetch_related(None).order_by("-pk")[:DATASETS]
    return [
        Result(
            each.label,
            "image",
            detail=f"{each.pair_count} pairs",
            url=reverse("datasets:detail", args=[each.pk]),
        )
        for each in rows
    ]


def _people(query: str) -> list[Result]:
    rows = User.objects.filter(Q(name__icontains=query) | Q(email__icontains=query)).order_by("name")[:PEOPLE]
    return [Result(each.name, "person", detail=each.email, url=each.get_absolute_url()) for each in rows]
