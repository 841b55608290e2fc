"""Users, what their role allows, and invitations by one-time link."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.urls import reverse
from django.utils.timezone import now


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser):
    """A person of the team, who signs in with an e-mail address."""

    class Role(models.TextChoices):
        VIEWER = "viewer", "Viewer"
        MAKER = "maker", "Maker"
        ADMIN = "admin", "Admin"

    email = models.EmailField("e-mail", unique=True)
    name = models.CharField(max_length=80)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MAKER)
    is_active = models.BooleanField(default=True)
    # By an invitation that was sent to it, or by the identity provider.
    is_email_verified = models.BooleanField(default=False, editable=False)
    joined_at = models.DateTimeField(default=now)
    last_seen_at = models.DateTimeField(null=True, editable=False)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    def __str__(self) -> str:
        return self.name or self.email

    def get_absolute_url(self) -> str:
        return reverse("people:person", args=[self.pk])

    @property
    def can_train(self) -> bool:
        return self.is_active and self.role in (self.Role.MAKER, self.Role.ADMIN)

    @property
    def can_administer(self) -> bool:
        return self.is_active and self.role == self.Role.ADMIN


class Invitation(models.Model):
    """A one-time link to create an account. Only a hash is stored; the first admin's has no inviter."""

    token_hash = models.CharField(max_length=64, unique=True)
    role = models.CharField(max_length=10, choices=User.Role.choices)
    email = models.EmailField("e-mail", blank=True)  # the only one that the account may have
    is_mailed = models.BooleanField(default=False)  # of older versions, and not read
    invited_by = models.ForeignKey(User, on_delete=models.CASCADE, null=True)
    created_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.role}, until {self.expires_at:%Y-%m-%d %H:%M}"

    @property
    def is_open(self) -> bool:
        return self.expires_at > now()
