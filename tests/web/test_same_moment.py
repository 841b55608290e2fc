"""What two people, or two tabs, change at the same moment: each is answered, and one state comes of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import requests
from allauth.mfa.models import Authenticator

from finetune_portal.accounts.models import User
from finetune_portal.connections import services
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Preset, SavedView
from tests.accounts.test_second_factor import code_of
from tests.cookies import csrf_cookie, session_cookie
from tests.people import make_dataset, person
from tests.web_server import WebServer, session_of

TOKEN = "c" * 32
ROUNDS = 8  # of which many meet


def browser(web: WebServer, user: User) -> requests.Session:
    session = requests.Session()
    session.cookies[session_cookie(web.url)] = session_of(user)
    session.cookies[csrf_cookie(web.url)] = TOKEN
    session.headers.update({"X-CSRFToken": TOKEN, "Referer": web.url})
    return session


def at_once(*calls: Callable[[], requests.Response]) -> list[requests.Response]:
    start = Barrier(len(calls))

    def run(call: Callable[[], requests.Response]) -> requests.Response:
        start.wait(60)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def post(session: requests.Session, url: str, **fields: str) -> Callable[[], requests.Response]:
    return lambda: session.post(url, fields, timeout=60, allow_redirects=False)


@pytest.fixture
def tabs(web: WebServer) -> list[requests.Session]:
    dana, erin = person("dana", "admin"), person("erin", "admin")
    return [browser(web, user) for user in (dana, erin, dana, erin)]


def test_different_default_connections_are_one_default(web: WebServer, tabs: list[requests.Session]) -> None:
    services.built_in()
    dana = User.objects.get(email="dana@example.com")
    added = [
        services.add(name=name, base_url="https://api.segmind.com", key=f"sk-{name}", actor=dana)
        for name in ("a", "b", "c", "d")
    ]
    paths = [f"{web.url}/settings/connections/{each.pk}/default/" for each in added]
    for _ in range(ROUNDS):
        answers = at_once(*(post(tab, path) for tab, path in zip(tabs, paths, strict=True)))
        assert {answer.status_code for answer in answers} <= {200, 302}
        assert Connection.objects.filter(is_default=True).count() == 1


def test_a_connection_is_not_made_the_default_and_deactivated(
    web: WebServer, tabs: list[requests.Session]
) -> None:
    dana = User.objects.get(email="dana@example.com")
    services.built_in()
    account = services.add(name="a", base_url="https://api.segmind.com", key="sk-a", actor=dana)
    path = f"{web.url}/settings/connections/{account.pk}"
    for _ in range(ROUNDS):
        at_once(post(tabs[0], f"{path}/default/"), post(tabs[1], f"{path}/switch/", on=""))
        assert not Connection.objects.exclude(disabled_at=None).filter(is_default=True).exists()
        Connection.objects.update(is_default=False, disabled_at=None)


def test_presets_of_one_name_are_one_and_a_sentence(web: WebServer, tabs: list[requests.Session]) -> None:
    for number in range(ROUNDS):
        fields = {"preset_name": f"Hats {number}", "learning_rate": "0.0003", "steps": "700"}
        answers = at_once(*(post(tab, f"{web.url}/jobs/new/presets/", **fields) for tab in tabs))
        refused = [answer for answer in answers if answer.status_code == 422]
        assert [answer.status_code < 500 for answer in answers] == [True] * 4
        assert len(refused) == 3
        assert all("A preset with this name already exists." in answer.text for answer in refused)
    assert Preset.objects.count() == ROUNDS


def test_views_of_one_name_are_one(web: WebServer, tabs: list[requests.Session]) -> None:
    for number in range(ROUNDS):
        fields = {"name": f"Mine {number}", "query": "mine=on"}
        answers = at_once(*(post(tab, f"{web.url}/views/", **fields) for tab in tabs))
        assert {answer.status_code for answer in answers} <= {200, 302}
    assert SavedView.objects.count() == 2 * ROUNDS, "one of each person"


def test_repairs_of_one_dataset_are_one_version(web: WebServer, tabs: list[requests.Session]) -> None:
    owner = User.objects.get(email="dana@example.com")
    for _ in range(ROUNDS):
        dataset = make_dataset(owner)
        dataset.verdict["repairs"] = [{"code": "png", "sentence": "It becomes a PNG."}]
        dataset.save()
        path = f"{web.url}/datasets/{dataset.pk}/repair/"
        assert {answer.status_code for answer in at_once(*(post(tab, path) for tab in tabs))} <= {200, 302}
        assert list(Dataset.objects.filter(parent=dataset).values_list("version", flat=True)) == [2]


def test_other_captions_at_once_are_versions_of_their_own(
    web: WebServer, tabs: list[requests.Session]
) -> None:
    dataset = make_dataset(User.objects.get(email="dana@example.com"))
    path = f"{web.url}/datasets/{dataset.pk}/captions/"
    for number in range(ROUNDS):
        texts = [f"hat {number} {each}" for each in "abcd"]
        at_once(*(post(tab, path, for_all=text) for tab, text in zip(tabs, texts, strict=True)))
    versions = Dataset.objects.filter(parent=dataset).order_by("version").values_list("version", flat=True)
    assert list(versions) == list(range(2, 2 + 4 * ROUNDS))


def test_an_account_of_one_e_mail_is_made_once(web: WebServer, tabs: list[requests.Session]) -> None:
    """By two invitations, which go to one address."""
    for number in range(ROUNDS):
        fields = {"email": f"frank{number}@example.com", "role": "maker"}
        pages = [tab.post(f"{web.url}/team/invite/", fields, timeout=60).text for tab in tabs[:2]]
        links = [link for page in pages for link in re.findall(r"/setup/[\w-]{20,}/", page)[:1]]
        assert len(links) == 2
        guests = [requests.Session() for _ in links]
        calls = []
        for guest, link in zip(guests, links, strict=True):
            form = guest.get(web.url + link, timeout=60).text
            token = re.findall(r'csrfmiddlewaretoken" value="(\w+)"', form)[0]
            own = {"name": "Frank", "password": "correct horse battery staple", "csrfmiddlewaretoken": token}
            calls.append(post(guest, web.url + link, **own))
        answers = at_once(*calls)
        assert sorted(answer.status_code for answer in answers) == [302, 422], [
            a.text[-500:] for a in answers
        ]
        assert User.objects.filter(email=fields["email"]).count() == 1


def test_an_authenticator_app_is_set_up_once(web: WebServer, tabs: list[requests.Session]) -> None:
    dana = User.objects.get(email="dana@example.com")
    path = f"{web.url}/profile/second-factor/app/"
    for _ in range(ROUNDS):
        Authenticator.objects.all().delete()
        one = browser(web, dana)
        secret = re.findall(r"<code>([A-Z2-7]{32})</code>", one.get(path, timeout=60).text)
        assert secret
        code = code_of(secret[0])
        answers = at_once(post(one, path, code=code), post(one, path, code=code))
        assert all(answer.status_code in (302, 422) for answer in answers), [a.status_code for a in answers]
        assert Authenticator.objects.filter(type="totp").count() == 1
