"""Personal tokens. The database holds only a hash of each."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.timezone import now


class Right(models.TextChoices):
    """What a token may do. Every token reads; the other rights also need an owner who may train."""

    READ = "read", "Read"
    TRAIN = "train", "Train"
    PUBLISH = "publish", "Publish"
    DOWNLOAD = "download", "Download"
    RUN = "run", "Run models"


class PersonalToken(models.Model):
    """Lets a script act for its owner, with no more rights than the owner has at that moment."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    name = models.CharField(max_length=60)
    token_hash = models.CharField(max_length=64, unique=True)
    last_four = models.CharField(max_length=4)
    rights = models.JSONField(default=list)
    created_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name

    def has_right(self, right: str) -> bool:
        return right == Right.READ or (right in self.rights and self.owner.can_train)

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= now()

    @property
    def problem(self) -> str:
        """Why the token does not work; empty if it works."""
        if self.revoked_at:
            return "This token was revoked."
        if self.is_expired:
            return "This token has expired."
        if not self.owner.is_active:
            return "The account of this token is deactivated."
        return ""

    @property
    def effective_rights(self) -> list[str]:
        """The labels of the rights. The owner may have fewer than when the token was made."""
        return [right.label for right in Right if self.has_right(right)]
