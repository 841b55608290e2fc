"""People, what their role lets them do, and the one-time links that bring them in."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
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
    """Someone on the team. Signs in with an e-mail address."""

    class Role(models.TextChoices):
        VIEWER = "viewer", "Viewer"
        MAKER = "maker", "Maker"
        ADMIN = "admin", "Admin"

    email = models.EmailField("e-mail", unique=True)
    name = models.CharField(max_length=80)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MAKER)
    is_active = models.BooleanField(default=True)
    joined = models.DateTimeField(default=now)
    seen = models.DateTimeField(null=True, editable=False)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects: ClassVar[UserManager] = UserManager()

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def can_train(self) -> bool:
        return self.is_active and self.role in (self.Role.MAKER, self.Role.ADMIN)

    @property
    def can_administer(self) -> bool:
        return self.is_active and self.role == self.Role.ADMIN


class Invitation(models.Model):
    """A one-time link. The database keeps only its hash; the first admin's has no inviter."""

    token_hash = models.CharField(max_length=64, unique=True)
    role = models.CharField(max_length=10, choices=User.Role.choices)
    email = models.EmailField("e-mail", blank=True)
    invited_by = models.ForeignKey(User, on_delete=models.CASCADE, null=True)
    created = models.DateTimeField(default=now)
    expires = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.role}, until {self.expires:%Y-%m-%d %H:%M}"

    @property
    def is_open(self) -> bool:
        return self.expires > now()
