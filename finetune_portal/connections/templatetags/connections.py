"""What pages say of a connection: its trainers, and whether it is closed to new jobs or reported to be."""

from __future__ import annotations

from django import template

from finetune_portal.connections import closing, trainers
from finetune_portal.connections.models import Connection
from finetune_portal.providers.contract import Availability, Report

register = template.Library()


@register.filter
def report(connection: Connection) -> Report | None:
    return closing.report_of(connection)


@register.filter
def trainer_counts(connection: Connection) -> str:
    """How many trainers jobs can be sent to, such as “10, of which 1 takes no new jobs”."""
    known = [each for each in trainers.of(connection) if each.is_known]
    closed = sum(each.availability is Availability.CLOSED for each in known)
    if not closed:
        return str(len(known))
    return f"{len(known)}, of which {closed} take{'s' if closed == 1 else ''} no new jobs"
