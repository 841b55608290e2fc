"""The page of a person: latest jobs and datasets, and how much they trained."""

from __future__ import annotations

from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.timezone import now
from django.views.decorators.http import require_safe

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Kind
from finetune_portal.costs import access as costs
from finetune_portal.costs import totals
from finetune_portal.datasets import access as dataset_access
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import access
from finetune_portal.jobs.choices import FOLLOWED, State
from finetune_portal.jobs.shown import with_shown

LATEST_JOBS, LATEST_DATASETS = 10, 6
# Accepted by a provider; jobs of the local engine are free.
PAID = Q(state__in=(*FOLLOWED, State.READY, State.FAILED)) & ~Q(connection__kind=Kind.ENGINE)


@require_safe
def person(request: PortalRequest, pk: int) -> HttpResponse:
    member = get_object_or_404(User, pk=pk)
    jobs = access.visible(request.user).filter(owner=member)
    datasets = dataset_access.listed(request.user).filter(owner=member).exclude(state=Dataset.State.RECEIVING)
    month = now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    spent = costs.visible(request.user).filter(person=member)
    context = {
        "person": member,
        "jobs": with_shown(jobs).order_by("-pk")[:LATEST_JOBS],
        "datasets": datasets.order_by("-pk")[:LATEST_DATASETS],
        "counts": jobs.order_by().aggregate(
            all=Count("pk"),
            active=Count("pk", filter=Q(group="active")),
            paid=Count("pk", filter=PAID),
            paid_this_month=Count("pk", filter=PAID & Q(sent_at__gte=month)),
        ),
        "dataset_count": datasets.count(),
        "spent": totals.totals(spent),
        "spent_this_month": totals.totals(spent.filter(at__gte=month)),
        "month": month,
    }
    return render(request, "jobs/person.html", context)
