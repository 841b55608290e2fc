"""The text of each message: short, with a link to the job page. No key, and no text of the provider."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin

from django.conf import settings
from django.urls import reverse

from finetune_portal.costs.amounts import amount_text
from finetune_portal.costs.models import Approval
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.costs import approval_of
from finetune_portal.jobs.models import Job
from finetune_portal.notifications.models import OUTCOMES, Channel, Event
from finetune_portal.web.templatetags.portal import duration, rate

SUBJECTS = {
    Event.READY: "“{name}” is ready",
    Event.FAILED: "“{name}” failed",
    Event.DECISION: "“{name}” needs a decision",
    Event.APPROVAL: "“{name}” waits for an approval",
    Event.APPROVED: "“{name}” is approved",
    Event.DECLINED: "“{name}” was declined",
}
SENTENCES = {
    Event.READY: "The training is done, and its model can be downloaded.",
    Event.FAILED: "The job page says why, and what to do next.",
    Event.DECISION: (
        "The provider’s answer was lost, so nobody knows whether the job was accepted. "
        "An admin sends it again or closes it."
    ),
    Event.APPROVAL: "It is over a budget. An admin approves or declines it on its page.",
    Event.APPROVED: "An admin approved its cost, and it has started.",
    Event.DECLINED: "An admin declined its cost. Nothing was started, and nothing was charged.",
}

CONFIRMATION = """Hello,

{who} would like the Finetune Portal to send notifications of training jobs
to this address. Confirm it with this link. It works once, for a day:

{link}

If you do not want them, ignore this e-mail: nothing else is sent here.
"""


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
    elif job.state == State.REFUSED:
        subject = "“{name}” was refused"
    if event in (Event.APPROVAL, *OUTCOMES) and (approval := approval_of(job)):
        sentence = " ".join([sentence, *_of_approval(approval)])
    if event == Event.READY and job.is_simulated:
        sentence += " The local engine only simulates: nothing was trained."
    link = urljoin(settings.PORTAL_URL, reverse("jobs:detail", args=[job.pk]))
    body = f"{sentence}\n\n{_facts(job)}\n\n{link}\n"
    return Message(subject.format(name=name), body)


def test() -> Message:
    link = urljoin(settings.PORTAL_URL, reverse("notifications:list"))
    body = f"It works: notifications of your jobs will arrive here.\n\n{link}\n"
    return Message("A test from the Finetune Portal", body)


def confirmation(channel: Channel, link: str) -> Message:
    """Ask whoever reads the mailbox. Names its asker only by a verified e-mail: any other may be any text."""
    owner = channel.owner
    who = owner.email if owner and owner.is_email_verified else "Somebody on the team"
    return Message("Confirm this address for notifications", CONFIRMATION.format(who=who, link=link))


def _of_approval(approval: Approval) -> list[str]:
    """How much it is, and what the admin typed."""
    cost = approval.cost
    price = "" if cost.estimate is None else f"{amount_text(cost.estimate)} {cost.currency}"
    sentences = [f"The estimate is {price}." if price else "No price is known for it."]
    if approval.comment:
        sentences.append(f"The reason: {approval.comment}")
    return sentences


def _facts(job: Job) -> str:
    who = job.owner.name if job.owner else "someone outside the portal"
    facts = [f"Started by {who}"]
    if job.steps:
        facts.append(f"{job.steps:,} steps at {rate(job.learning_rate)}")
    if job.ended_at:
        facts.append(f"took {duration(job.duration)}")
    return " · ".join(facts)
