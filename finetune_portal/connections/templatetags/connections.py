"""What pages say of a connection that is closed to new jobs, or reported to be."""

from __future__ import annotations

from django import template

from finetune_portal.connections import closing
from finetune_portal.connections.models import Connection
from finetune_portal.providers.contract import Report

register = template.Library()


@register.filter
def report(connection: Connection) -> Report | None:
    return closing.report_of(connection)
