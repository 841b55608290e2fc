"""A private project is found by nobody but its members and admins: every URL of the URLconf is asked.

All that belongs to it has a mark: names, texts, pictures, files. Everyone else gets, from each URL and by
each of its methods, no mark, and the same answer as for what was never there. Members and admins find each
of them. A new URL is asked by itself, as the list is that of test_access.py. Streams are in
tests/projects/test_private_streams.py.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.costs.models import Budget, Cost
from finetune_portal.datasets import previews
from finetune_portal.datasets.models import Dataset
from finetune_portal.gateway.generations import responses
from finetune_portal.gateway.services import new_token
from finetune_portal.jobs.models import Job, JobEvent, Preset, Training
from finetune_portal.playground import results
from finetune_portal.playground.models import Generation, Input
from finetune_portal.projects import services as projects
from finetune_portal.projects.models import Member, Project
from finetune_portal.registry import model_links
from finetune_portal.registry.models import Model, ModelFile
from finetune_portal.webhooks.models import Delivery
from tests.people import form_data, make_dataset, make_generation, make_job, make_samples, person, signed_in
from tests.test_access import READ, TUS, Line, address, table

pytestmark = pytest.mark.long

MARK = "xq7kz"
COST = "7351.25"
# Where the mark stands; only admins find the last ones.
MARKS = (
    *("project", "job", "prompt", "note", "tag", "error", "event", "log", "dataset", "file"),
    *("caption", "warning", "run", "input", "picture", "preset"),
)
ADMINS = ("audit", "delivery", "copy", "ledger")
BYTES = f"{MARK}picture".encode()
RIGHTS = ["train", "publish", "download", "run"]
# Keys of what is private begin with 9, and those of what was never there with 8.
JOB, FAILED, DATASET, UPLOAD, PROJECT, MEMBER, RUN, INPUT, PRESET = range(910_001, 910_010)
# What differs between any two answers, in lower case: keys, tokens, versions of what is shown.
PASSING = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{64}|\b[0-9a-f]{16}\b|[89]1000[1-9]"
    r'|x-csrftoken": ?"\w+"|name="csrfmiddlewaretoken" value="\w+"|seen=[\w.%-]*|\?dataset=\d+|\d\d:\d\d:\d\d'
)
# Pages that show a new secret each time.
SECRETS = {"mfa_activate_totp", "mfa_add_webauthn", "mfa_reauthenticate_webauthn", "gateway:tokens"}
HEADERS = ("X-Request-ID", "Content-Length", "Set-Cookie")


def mark(what: str) -> str:
    return f"{MARK}{what}"


@dataclass
class Scene:
    """A private project with all that belongs to it, and how URLs, queries and forms name it."""

    project: Project
    member: Member
    job: Job
    generation: Generation
    values: dict[str, str]
    names: dict[str, str]


def make_scene(owner: User, admin: User) -> Scene:
    project = projects.add(mark("project"), actor=admin)
    Project.objects.filter(pk=project.pk).update(id=PROJECT)
    project = Project.objects.get(pk=PROJECT)
    projects.add_member(project, owner, actor=admin)
    Member.objects.update(id=MEMBER)
    dataset = make_private_dataset(owner, project)
    job = make_private_jobs(owner, dataset)
    generation = make_private_run(owner, job)
    put_files(job, dataset, generation)
    paid = {"currency": "USD", "estimate": 1, "title": mark("ledger"), "bill": COST, "state": "billed"}
    Cost.objects.create(kind="job", subject=JOB, job=JOB, connection=job.connection, person=owner, **paid)
    numbers = {"learning_rate": 1e-4, "steps": 1}
    Preset.objects.create(pk=PRESET, owner=owner, project=project, name=mark("preset"), **numbers)
    record(owner, "job.name", job, before=mark("audit"), after=mark("job"))
    Delivery.objects.create(event=mark("delivery"), size=1, job=job, outcome=mark("delivery"))
    upload = make_dataset(owner, pk=UPLOAD, state="receiving", project=project, name=mark("dataset"))
    values = values_of(job, generation, upload)
    return Scene(project, Member.objects.get(), job, generation, values, names_of(job, generation))


def make_private_dataset(owner: User, project: Project) -> Dataset:
    names = {"name": mark("dataset"), "filename": f"{mark('file')}.zip", "sha256": "9" * 64}
    dataset = make_dataset(owner, pk=DATASET, project=project, **names)
    dataset.verdict["pairs"][0]["caption"] = mark("caption")
    dataset.verdict["warnings"] = [mark("warning")]
    dataset.save()
    return dataset


def make_private_jobs(owner: User, dataset: Dataset) -> Job:
    """One that is ready, and one that failed."""
    texts = {"instance_prompt": mark("prompt"), "note": mark("note"), "tags": mark("tag")}
    same = {"dataset": dataset, "project": dataset.project, "name": mark("job"), **texts}
    job = make_job(
        owner,
        "ready",
        pk=JOB,
        request_id="r-910001",
        slug="slug-910001",
        sweep=uuid.uuid4(),
        cloud_storage_url="https://storage.example/910001.safetensors",
        file_error=mark("copy"),
        cost=float(COST),
        sent_at=now(),
        ended_at=now(),
        **same,
    )
    make_job(owner, "failed", pk=FAILED, error=mark("error"), file_error=mark("copy"), **same)
    JobEvent.objects.create(job=job, text=mark("event"), detail=mark("event"), state="ready", source="poll")
    curves = {"losses": [[1, 0.9], [20, 0.5]], "samples": [0, 20], "step": 20}
    running = make_job(owner, "training", **same)
    Training.objects.create(job=running, phase=mark("phase"), log=[mark("log")], percent=7)
    Training.objects.create(job=job, is_over=True, log=[mark("log")], **curves)
    make_samples(job, "control", "target", "0", "20")
    return job


def make_private_run(owner: User, job: Job) -> Generation:
    made = make_generation(job)
    fields = {"sha256": "9" * 63 + "a", "kind": "png", "name": mark("input"), "owner": owner}
    image = Input.objects.create(pk=INPUT, **fields)
    texts = dict.fromkeys(("prompt", "error", "detail"), mark("run"))
    Generation.objects.filter(pk=made.pk).update(id=RUN, input=image, batch=uuid.uuid4(), **texts)
    Input.objects.exclude(pk=INPUT).delete()
    return Generation.objects.get(pk=RUN)


def put_files(job: Job, dataset: Dataset, generation: Generation) -> None:
    """Pictures and a model file whose bytes have the mark."""
    model = Model.objects.create(job=job)
    weights = ModelFile.objects.create(model=model, state="stored", size=len(BYTES), stored_at=now())
    Job.objects.filter(pk=job.pk).update(file_kept_at=now())
    paths = [weights.path, generation.path, generation.input.path]
    for source in (generation, generation.input):
        paths += [results.preview_path(source, edge) for edge in results.EDGES]
    for place in ("start", "end"):
        paths += [previews.path_of(dataset, 0, place, edge) for edge in previews.EDGES]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(BYTES)


def values_of(job: Job, generation: Generation, upload: Dataset) -> dict[str, str]:
    """What stands in the routes; of what no project has, things that are not there."""
    budget = Budget.objects.create(project_id=PROJECT, currency="USD", amount=Decimal(5))
    return {
        **{"jobs": str(JOB), "datasets": str(DATASET), "try/inputs": str(INPUT), "try/runs": str(RUN)},
        **{"settings/projects": str(PROJECT), "settings/projects/members": str(MEMBER)},
        "settings/budgets": str(budget.pk),
        **{"sample": "control", "number": "0", "place": "start", "edge": "small", "kind": "png"},
        **{"filename": f"{generation.input.sha256}.png", "rest": f"request/{job.form_key}"},
        **{"slug": job.slug, "key": str(generation.key), "team": str(job.owner_id)},
        **{"token": "no-such-token", "provider": "fal", "uidb64": "MQ", "upload": str(upload.key)},
        **dict.fromkeys(("views", "tokens", "settings/connections", "settings/notices"), "99999"),
        "jobs/new/presets": str(PRESET),
        **dict.fromkeys(("team/invitations", "profile/sessions", "profile/second-factor/keys"), "99999"),
    }


def names_of(job: Job, generation: Generation) -> dict[str, str]:
    """In queries and bodies all at once, so that each URL takes those that it reads."""
    assert job.dataset
    return {
        **dict.fromkeys(("job", "again"), str(JOB)),
        **{"dataset": str(DATASET), "project": str(PROJECT), "sha256": job.dataset.sha256},
        **{"sweep": str(job.sweep), "run": str(generation.batch), "picture": f"input-{INPUT}"},
        **{"generation": str(RUN), "trial": str(RUN), "by": "each"},
        **dict.fromkeys(("request_id", "finetune_id"), str(job.form_key)),
        "cloud_storage_url": job.cloud_storage_url,
        "data_source_path": f"http://testserver/finetune/uploads/{job.dataset.key}/night.zip",
    }


def never_there(texts: dict[str, str]) -> dict[str, str]:
    """The same with keys that nothing has."""
    keys = re.compile(r"9(?=\d{5}\b)|9(?=9{20})")
    ids = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
    return {name: ids.sub(str(uuid.uuid4()), keys.sub("8", text)) for name, text in texts.items()}


@dataclass(frozen=True)
class Visit:
    """One request: a line of the table with its address, a query, and a body."""

    line: Line
    path: str
    query: dict[str, str]
    body: dict[str, str]
    is_script: bool

    @property
    def is_call(self) -> bool:
        return self.line.outcomes[0] == "key" and self.line.name != "datasets:upload"

    def made_by(self, client: Client) -> tuple[int, str]:
        """The status, and headers and body in lower case. What it changed is undone."""
        headers = dict(TUS) if self.line.name == "datasets:upload" else {}
        headers |= {"HX-Request": "true"} if self.is_script else {}
        query = "&".join(f"{name}={value}" for name, value in self.query.items())
        options: dict[str, Any] = {"headers": headers, "QUERY_STRING": query}
        cookies = deepcopy(client.cookies)
        with transaction.atomic():
            if self.line.method == "POST" and not self.is_call:
                answer = client.post(self.path, self.body, **options)
            else:
                body = json.dumps(self.body) if self.body else ""
                answer = client.generic(self.line.method, self.path, body, "application/json", **options)
            content = b"".join(answer)
            transaction.set_rollback(True)
        client.cookies = cookies
        head = "\n".join(f"{name}: {value}" for name, value in answer.items() if name not in HEADERS)
        return answer.status_code, f"{head}\n{content.decode('utf-8', 'replace')}".casefold()


def visits(values: dict[str, str], names: dict[str, str]) -> Iterator[Visit]:
    """Each URL by each of its methods, alone, with all names in query or body, and as a script asks."""
    form = {**form_data(None), **names, "form_key": "", "action": "archive", "name": "a"}
    form |= {"input_image": names["picture"], "segmind_public": "False"}
    for line in table():
        keys = {**values, "key": values["upload"]} if line.name == "datasets:upload" else values
        path = address(line.name, keys)
        if line.method in READ:
            yield Visit(line, path, {}, {}, is_script=False)
            yield Visit(line, path, names, {}, is_script=False)
            yield Visit(line, path, names, {}, is_script=True)
            yield Visit(line, path, {"q": MARK[1:], "tag": MARK[1:]}, {}, is_script=True)
        else:
            yield Visit(line, path, {}, {}, is_script=False)
            yield Visit(line, path, {}, form, is_script=True)


@pytest.fixture
def scene(alice: User, dana: User, settings: Any) -> Scene:
    settings.SEGMIND_BASE_URL = "http://127.0.0.1:9"  # nobody is there
    settings.TOKEN_CALLS = settings.RUNS_A_MINUTE = 10**6
    settings.METRICS_TOKEN = "metrics"
    connections.built_in()
    Connection.objects.update(capabilities=["run", "progress", "cancel"])
    scene = make_scene(alice, dana)
    projects.set_private(scene.project, private=True, actor=dana)
    return scene


def token_client(user: User) -> Client:
    rights = RIGHTS if user.can_train else []
    return Client(headers={"x-api-key": new_token(owner=user, name="t", rights=rights, days=1)[1]})


def answers(user: User, scene: Scene, *, absent: bool = False) -> Iterator[tuple[Visit, int, str]]:
    """What a person gets: pages by the session, calls by a token."""
    session, token = signed_in(user), token_client(user)
    named = (scene.values, scene.names)
    for visit in visits(*map(never_there, named)) if absent else visits(*named):
        yield (visit, *visit.made_by(token if visit.is_call else session))


def shown(visit: Visit, text: str) -> list[tuple[str, str, dict[str, str], str]]:
    """Where the mark is in an answer, if it is."""
    at = max(text.find(MARK), text.find(COST))
    return [(visit.line.name, visit.line.method, visit.query, text[max(0, at - 80) : at + 20])] * (at >= 0)


def test_a_stranger_to_it_gets_the_answers_of_what_is_not_there(scene: Scene, bob: User) -> None:
    """A maker of the team; pages, pictures, files, calls, searches and changes."""
    leaks, different = [], []
    pairs = zip(answers(bob, scene), answers(bob, scene, absent=True), strict=True)
    for (visit, status, text), (_, expected, other) in pairs:
        leaks += shown(visit, text)
        lines = [PASSING.sub("*", each).splitlines() for each in (text, other)]
        if status != expected or (lines[0] != lines[1] and visit.line.name not in SECRETS):
            unlike = sorted(set(lines[0]) ^ set(lines[1]))[:4]
            different.append((visit.line.name, visit.line.method, status, expected, unlike))
    assert leaks == []
    assert different == []


def test_who_was_a_member_and_owns_a_job_finds_nothing_of_it(scene: Scene, dana: User) -> None:
    former = person("olga", User.Role.MAKER)
    projects.add_member(scene.project, former, actor=dana)
    Job.objects.filter(project=scene.project).update(owner=former)
    Dataset.objects.update(owner=former)
    Cost.objects.update(person=former)
    Generation.objects.update(owner=former)
    projects.remove_member(Member.objects.get(user=former), actor=dana)
    assert [each for visit, _, text in answers(former, scene) for each in shown(visit, text)] == []


def test_viewers_strangers_and_the_metrics_have_nothing_of_it(scene: Scene, charlie: User) -> None:
    leaks = [
        each
        for visit, _, text in answers(charlie, scene)
        if visit.line.method == "GET"
        for each in shown(visit, text)
    ]
    for client in (Client(), Client(headers={"Authorization": "Bearer metrics"})):
        for visit in visits(scene.values, scene.names):
            if visit.line.outcomes[0] in ("ok", "no", "404"):
                leaks += shown(visit, visit.made_by(client)[1])
    assert leaks == []


@pytest.mark.parametrize("who", ["member", "admin"])
def test_members_and_admins_find_all_of_it(who: str, scene: Scene, dana: User) -> None:
    """So the marks are where the others would find them, too."""
    user = dana if who == "admin" else person("mia", User.Role.MAKER)
    if who == "member":
        projects.add_member(scene.project, user, actor=dana)
    text = "\n".join(text for visit, _, text in answers(user, scene) if visit.line.method == "GET")
    assert [each for each in MARKS if mark(each) not in text] == []
    assert COST in text.replace(",", "")
    assert {each for each in ADMINS if mark(each) in text} >= (set(ADMINS) if who == "admin" else set())


def test_links_that_were_given_away_end_with_the_membership(scene: Scene, alice: User, dana: User) -> None:
    """Of a model's file, and of the picture that a run made."""
    file = model_links.link_for(scene.job, alice)
    urls = responses.Urls.of(scene.generation, "http://testserver", alice)
    picture = urls.output(scene.generation).removeprefix("http://testserver")
    for link in (file, picture):
        assert b"".join(Client().get(link)) == BYTES
    projects.remove_member(scene.member, actor=dana)
    for link in (file, picture):
        answer = Client().get(link)
        assert answer.status_code == 404
        assert MARK not in answer.content.decode()


def test_it_is_there_again_when_it_is_open(scene: Scene, dana: User, bob: User) -> None:
    page, client = reverse("jobs:detail", args=[JOB]), signed_in(bob)
    assert client.get(page).status_code == 404
    projects.set_private(scene.project, private=False, actor=dana)
    assert client.get(page).status_code == 200
