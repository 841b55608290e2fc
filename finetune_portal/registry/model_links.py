"""Signed links to the model files that the portal sends itself, valid for an hour for whoever has one.

These are its own copies, and the files of engines, whose address is for the portal alone: it may be one of
this machine, or one by plain http. The link has no session, so it works in a download manager and a script,
as the links of a provider's storage do.
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.core import signing
from django.urls import reverse

from finetune_portal.accounts.models import User
from finetune_portal.jobs.models import Job

MAX_AGE = 3600
SALT = "finetune_portal.jobs.model_links"


def link_for(job: Job, user: User) -> str:
    """Return the path and query of a new link, in which this user may see the job."""
    signature = signing.dumps([job.pk, user.pk], salt=SALT)
    return f"{reverse('registry:file', args=[job.pk])}?{urlencode({'signature': signature})}"


def user_of(job_id: int, signature: str) -> User | None:
    """Return the user of a link to this job; None for one that is changed or too old."""
    try:
        signed_job_id, user_id = signing.loads(signature, salt=SALT, max_age=MAX_AGE)
    except (signing.BadSignature, ValueError):
        return None
    user = User.objects.filter(pk=user_id, is_active=True).first()
    return user if signed_job_id == job_id else None
