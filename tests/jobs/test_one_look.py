"""A state has one word and one colour in the table, on the job page, in the comparison and in the tabs."""

from __future__ import annotations

import re

from finetune_portal.accounts.models import User
from finetune_portal.jobs import choices
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.timeline import Source, note
from tests.people import make_job, signed_in
from tests.worker.driving import text_of

CANCELLED = "cancelled"
LOOKS: dict[str, str] = {
    **dict.fromkeys((State.WAITING, State.QUEUED), "calm"),
    **dict.fromkeys((State.SENDING, *choices.FOLLOWED), "moving"),
    **dict.fromkeys((State.APPROVAL, State.UNCONFIRMED, State.NEEDS_DECISION), "warn"),
    **dict.fromkeys((State.FAILED, State.REFUSED), "bad"),
    **dict.fromkeys((State.CLOSED, CANCELLED), "calm"),
    State.READY: "good",
}
TABS = {"active": ("moving", "warn", "calm"), "ready": ("good",), "failed": ("bad", "calm")}
BADGE = re.compile(
    r'class="badge" data-job="(?P<job>[^"]+)"[^>]*data-tone="(?P<tone>\w+)">.*?</svg> (?P<word>[^<]+)'
)


def badges(html: str) -> dict[str, tuple[str, str]]:
    """The colour and the word of each job's badge, by the address of the job."""
    return {badge["job"]: (badge["tone"], badge["word"].strip()) for badge in BADGE.finditer(html)}


def job_in(owner: User, state: str) -> Job:
    """A job that came to this state, with a later entry in its timeline that changes no state."""
    is_cancelled = state == CANCELLED
    job = make_job(owner, State.FAILED if is_cancelled else state, error="Cancelled." * is_cancelled)
    note(job, "Started", source=Source.PERSON, state=State.QUEUED)
    note(job, "As it is", source=Source.POLL, state=job.state)
    note(job, "Made private", source=Source.PERSON)
    return job


def test_every_state_looks_the_same_wherever_it_is_shown(alice: User) -> None:
    assert set(LOOKS) == {*State, CANCELLED}
    client = signed_in(alice)
    jobs = {f"/jobs/{job.pk}/": state for state in LOOKS for job in [job_in(alice, state)]}
    rows = badges(text_of(client))
    assert {jobs[url]: tone for url, (tone, _) in rows.items()} == LOOKS
    for group, tones in TABS.items():
        assert {tone for tone, _ in badges(text_of(client, f"/?state={group}")).values()} == {*tones}
    for url, state in jobs.items():
        html = text_of(client, url)
        tone = LOOKS[state]
        assert badges(html) == {url: rows[url]}
        stages = re.findall(r'<li data-mark="(\w+)" (?:data-tone="(\w+)")?', html)
        assert [each for _, each in stages if each] == ([] if state == State.READY else [tone]), state
        *_, reached, last = re.findall(r'<li data-tone="(\w*)">', html)
        assert last == tone, state
        assert reached == (tone if state in (*choices.ENDED, CANCELLED) else ""), state


def test_a_job_that_was_withdrawn_early_shows_no_later_stage_as_done(alice: User) -> None:
    job = make_job(alice, State.CLOSED)
    note(job, "Started", source=Source.PERSON, state=State.WAITING)
    note(job, "Withdrawn", source=Source.PERSON, state=State.CLOSED)
    html = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert re.findall(r'<li data-mark="(\w+)"', html) == ["ended"] + ["ahead"] * 6
