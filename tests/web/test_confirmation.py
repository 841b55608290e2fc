"""A form with a question is not sent before somebody answered, by whatever way it comes."""

from __future__ import annotations

import re
from html import unescape

from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from tests.people import HTMX, make_job, signed_in

QUESTION = {"question": "Both & more?", "question_title": "Close it?", "question_yes": "Close"}


def decide(client: Client, job: Job, fields: dict[str, object], **headers: str) -> str:
    response = client.post(f"/jobs/{job.pk}/decide/", fields, headers=headers)
    return response.content.decode()


def is_closed(job: Job) -> bool:
    return Job.objects.get(pk=job.pk).state == State.CLOSED


def test_the_page_asks_and_sends_all_that_was_typed(dana: User) -> None:
    client, job = signed_in(dana), make_job(dana, State.NEEDS_DECISION)
    referer = {"Referer": f"http://testserver/jobs/{job.pk}/?a=1"}
    asked = decide(client, job, {**QUESTION, "decision": "close", "several": ["1", "2"]}, **referer)
    assert not is_closed(job)
    assert "Both &amp; more?" in asked
    assert f'href="http://testserver/jobs/{job.pk}/?a=1"' in asked
    assert 'href="/"' in decide(client, job, QUESTION, Referer="https://elsewhere.example/")
    main = asked.partition("<main")[2].partition("</main")[0]
    token, *hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', main)
    assert token[0] == "csrfmiddlewaretoken"
    assert hidden == [("decision", "close"), ("several", "1"), ("several", "2"), ("confirmed", "on")]
    decide(client, job, {name: unescape(value) for name, value in hidden})
    assert is_closed(job)


def test_scripts_ask_before_they_send(dana: User) -> None:
    for headers in (HTMX, {"Portal-Form": "1"}):
        job = make_job(dana, State.NEEDS_DECISION)
        decide(signed_in(dana), job, {**QUESTION, "decision": "close"}, **headers)
        assert is_closed(job)


def test_nobody_is_asked_before_they_sign_in(client: Client, db: None) -> None:
    answer = client.post("/login/", {**QUESTION, "login": "ada@example.com", "password": "wrong"})
    assert "Sign in" in answer.content.decode()
