"""The text of each message: short, with a link to the job page. No key, and no text of the provider."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin

from django.conf import settings
from django.urls import reverse

from finetune_portal.jobs.models import Job
from finetune_portal.notifications.models import Event
from finetune_portal.web.templatetags.portal import duration, rate

SUBJECTS = {
    Event.READY: "“{name}” is ready",
    Event.FAILED: "“{name}” failed",
    Event.DECISION: "“{name}” needs a decision",
}
SENTENCES = {
    Event.READY: "The training is done, and its model can be downloaded.",
    Event.FAILED: "The job page says why, and what to do next.",
    Event.DECISION: (
        "The provider’s answer was lost, so nobody knows whether the job was accepted. "
        "An admin sends it again or closes it."
    ),
}


@dataclass(frozen=True)
class Message:
    subject: str
    body: str


def about(job: Job, event: str) -> Message:
    event = Event(event)
    name = " ".join(job.name.split())
    subject, sentence = SUBJECTS[event], SENTENCES[event]
    if job.is_cancelled:
        subject, sentence = "“{name}” was cancelled", "Somebody ended the job before it was done."
    if event == Event.READY and job.is_simulated:
        sentence += " The local engine only simulates: nothing was trained."
    link = urljoin(settings.PORTAL_URL, reverse("jobs:detail", args=[job.pk]))
    body = f"{sentence}\n\n{_facts(job)}\n\n{link}\n"
    return Message(subject.format(name=name), body)


def test() -> Message:
    link = urljoin(settings.PORTAL_URL, reverse("notifications:list"))
    body = f"It works: notifications of your jobs will arrive here.\n\n{link}\n"
    return Message("A test from the Finetune Portal", body)


def _facts(job: Job) -> str:
    who = job.owner.name if job.owner else "someone outside the portal"
    facts = [f"Started by {who}"]
    if job.steps:
        facts.append(f"{job.steps:,} steps at {rate(job.learning_rate)}")
    if job.ended_at:
        facts.append(f"took {duration(job.duration)}")
    return " · ".join(facts)
