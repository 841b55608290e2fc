"""A cache in the database, for what all processes and machines count together, such as tries at a sign-in.

Unlike Django's own cache in the database it adds to a number in one step, so that two processes at once count
two, and it stores JSON instead of pickled objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.core.cache import cache
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.db import IntegrityError, transaction
from django.db.models import BigIntegerField, F, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils.timezone import now

from finetune_portal.web.models import CacheEntry

BATCH = 1000


class SharedCache(BaseCache):
    """Django's interface of a cache. Each entry expires: a timeout of None is refused by a TypeError."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def add(
        self, key: str, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Store the value unless there is one. Of several processes at once, one gets True."""
        key = self.make_and_validate_key(key, version)
        if _live(key).exists():
            return False
        fields = self._fields(value, timeout)
        if CacheEntry.objects.filter(key=key, expires_at__lte=now()).update(**fields):
            return True
        try:
            with transaction.atomic():
                CacheEntry.objects.create(key=key, **fields)
        except IntegrityError:
            return False
        return True

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        key = self.make_and_validate_key(key, version)
        value = _live(key).values_list("value", flat=True).first()
        return default if value is None else json.loads(value)

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        names = {self.make_and_validate_key(key, version): key for key in keys}
        rows = CacheEntry.objects.filter(key__in=names, expires_at__gt=now()).values_list("key", "value")
        return {names[name]: json.loads(value) for name, value in rows}

    def set(
        self, key: str, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        key = self.make_and_validate_key(key, version)
        CacheEntry.objects.update_or_create(key=key, defaults=self._fields(value, timeout))

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Add to a whole number and return the sum. Raises ValueError where there is no entry."""
        name = self.make_and_validate_key(key, version)
        number = Cast(F("value"), BigIntegerField())
        with transaction.atomic():
            if not _live(name).update(value=Cast(number + delta, TextField())):
                raise ValueError(f"no entry {key}")
            return int(_live(name).values_list("value", flat=True).get())

    def delete(self, key: str, version: int | None = None) -> bool:
        key = self.make_and_validate_key(key, version)
        return bool(CacheEntry.objects.filter(key=key).delete()[0])

    def clear(self) -> None:
        CacheEntry.objects.all().delete()

    def _fields(self, value: Any, timeout: float | None) -> dict[str, Any]:
        expires_at = datetime.fromtimestamp(self.get_backend_timeout(timeout), UTC)  # type: ignore[arg-type]
        return {"value": json.dumps(value), "expires_at": expires_at}


def _live(key: str) -> QuerySet[CacheEntry]:
    return CacheEntry.objects.filter(key=key, expires_at__gt=now())


def count(key: str, *, seconds: float) -> int:
    """Return how often this was called for the key within so many seconds of the first time."""
    cache.add(key, 0, seconds)
    try:
        return cache.incr(key)
    except ValueError:  # it expired between the two
        return count(key, seconds=seconds)


def delete_expired() -> bool:
    """Delete entries that expired. Return False when nothing is left."""
    keys = list(CacheEntry.objects.filter(expires_at__lte=now()).values_list("key", flat=True)[:BATCH])
    CacheEntry.objects.filter(key__in=keys, expires_at__lte=now()).delete()
    return bool(keys)
