"""Is the portal ready? Only with a database that answers and a worker that is alive."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from finetune_portal.web.http import PLAIN
from finetune_portal.worker.models import Heartbeat

ALIVE = timedelta(seconds=60)


@login_not_required
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    try:
        last = Heartbeat.objects.aggregate(last=Max("at"))["last"]
    except DatabaseError:
        return HttpResponse("The database does not answer.\n", status=503, content_type=PLAIN)
    if last is None or last < now() - ALIVE:
        return HttpResponse("The worker is not running.\n", status=503, content_type=PLAIN)
    return HttpResponse("ready\n", content_type=PLAIN)
