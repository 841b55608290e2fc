"""Personal access tokens. The database has only a hash of each."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.timezone import now


class Right(models.TextChoices):
    """What a token may do. Every token reads; the rest also needs that its person may train."""

    READ = "read", "Read"
    TRAIN = "train", "Train"
    PUBLISH = "publish", "Publish"
    DOWNLOAD = "download", "Download"


class AccessToken(models.Model):
    """Lets a script act for its owner, never with more rights than the owner has at that moment."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    name = models.CharField(max_length=60)
    token_hash = models.CharField(max_length=64, unique=True)
    last_four = models.CharField(max_length=4)
    rights = models.JSONField(default=list)
    created = models.DateTimeField(default=now)
    expires = models.DateTimeField(null=True)
    last_used = models.DateTimeField(null=True)
    revoked = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name

    def may(self, right: str) -> bool:
        return right == Right.READ or (right in self.rights and self.owner.can_train)

    @property
    def is_expired(self) -> bool:
        return self.expires is not None and self.expires <= now()

    @property
    def trouble(self) -> str:
        """Why it does not work; empty when it does."""
        if self.revoked:
            return "This token was revoked."
        if self.is_expired:
            return "This token has expired."
        if not self.owner.is_active:
            return "The account of this token is switched off."
        return ""

    @property
    def rights_now(self) -> list[str]:
        """In words; its person may have fewer than when it was made."""
        return [right.label for right in Right if self.may(right)]
