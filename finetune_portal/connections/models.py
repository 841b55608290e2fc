"""A connection: one account at one provider, and the state of that provider."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils.timezone import now

from finetune_portal.queue.leases import Leased

LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1"}
SEGMIND = "segmind"  # the provider whose API the local engine speaks, too
SEGMIND_HOST = "segmind.com"
LEARNED_FOR = timedelta(hours=1)


class Kind(models.TextChoices):
    ENGINE = "engine", "Local engine"
    ENVIRONMENT = "environment", "Set by the environment"
    OWN = "own", "Set on this page"


def built_in_kind() -> Kind:
    """The connection of every installation: the local engine, or the one of the environment instead."""
    return Kind.ENGINE if settings.LOCAL_ENGINE else Kind.ENVIRONMENT


def providers_with_key() -> list[str]:
    """The other providers that have a built-in connection, as the environment has a key for them."""
    return [provider for provider, key in settings.PROVIDER_KEYS.items() if key]


class ConnectionQuerySet(models.QuerySet["Connection"]):
    def in_use(self) -> ConnectionQuerySet:
        """Those that the worker asks and people can choose; not one that the environment dropped."""
        of_every_installation = Q(kind=built_in_kind(), provider=SEGMIND)
        with_key = Q(kind=Kind.ENVIRONMENT, provider__in=providers_with_key())
        usable = self.filter(of_every_installation | with_key | Q(kind=Kind.OWN), disabled_at=None)
        return usable.order_by("pk")

    def stalest(self) -> Connection | None:
        """The one in use that answered longest ago: the age of what a page shows."""
        return self.in_use().order_by(F("last_answer_at").asc(nulls_last=True)).first()


class Connection(Leased):
    """Where jobs go and whose key pays. Only `client.py` decrypts the keys to use them."""

    kind = models.CharField(max_length=12, choices=Kind.choices, default=Kind.OWN)
    provider = models.CharField(max_length=20, default=SEGMIND)  # an id of providers/registry.py
    name = models.CharField(max_length=60)
    base_url = models.CharField(max_length=300, blank=True)  # of Segmind's API, if of kind OWN
    encrypted_key = models.TextField(blank=True)
    last_four = models.CharField(max_length=4, blank=True)
    encrypted_admin_key = models.TextField(blank=True, default="")  # if of kind OWN
    admin_last_four = models.CharField(max_length=4, blank=True, default="")
    admin_key_failure = models.CharField(max_length=500, blank=True, default="")  # why it is refused
    admin_key_due_at = models.DateTimeField(null=True)  # when a refused or a new one is tried
    is_default = models.BooleanField(default=False)
    disabled_at = models.DateTimeField(null=True)

    checked_at = models.DateTimeField(null=True)
    last_answer_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    failure = models.CharField(max_length=500, blank=True)
    is_key_rejected = models.BooleanField(default=False)
    is_training_closed = models.BooleanField(default=False)  # to new jobs (closing.py)
    closed_at = models.DateTimeField(null=True)
    closed_reason = models.CharField(max_length=600, blank=True)
    probe_at = models.DateTimeField(null=True)  # when a job is next sent to a closed provider
    probes = models.PositiveIntegerField(default=0)  # sent since it closed
    credits = models.FloatField(null=True)
    credits_at = models.DateTimeField(null=True)  # when the balance was asked for
    other_payment_at = models.DateTimeField(null=True)  # the latest for something else than a job
    calls_left = models.IntegerField(null=True)
    calls_reset_at = models.DateTimeField(null=True)
    calls_learned = models.PositiveIntegerField(null=True)  # a minute, counted until a 429
    calls_learned_at = models.DateTimeField(null=True)
    capabilities = models.JSONField(default=list)  # beyond the vendor API (capabilities.py)
    parameters = models.JSONField(null=True)  # names beside steps and learning rate; None until asked
    trainers = models.JSONField(default=list)  # of another provider, as it last named them (trainers.py)
    capabilities_due_at = models.DateTimeField(default=now)
    updated_at = models.DateTimeField(default=now)

    objects = ConnectionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["is_default"], condition=Q(is_default=True), name="one_default"),
            models.UniqueConstraint(
                fields=["kind", "provider"], condition=~Q(kind=Kind.OWN), name="one_built_in_connection"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"{reverse('connections:list')}#connection-{self.pk}"

    @property
    def is_own(self) -> bool:
        return self.kind == Kind.OWN

    @property
    def is_free(self) -> bool:
        """Whether it is the local engine, the team's own hardware: no page names a price or a balance."""
        return self.kind == Kind.ENGINE

    @property
    def is_engine(self) -> bool:
        """Whether an engine answers, on this machine or elsewhere: Segmind itself has no capabilities."""
        return self.is_free or bool(self.speaks_segmind and self.capabilities)

    @property
    def speaks_segmind(self) -> bool:
        """Whether its provider is Segmind or an engine (declared.py has what that means)."""
        return self.provider == SEGMIND

    @property
    def is_disabled(self) -> bool:
        return self.disabled_at is not None or not (self.is_own or self._is_in_environment)

    @property
    def _is_in_environment(self) -> bool:
        if self.speaks_segmind:
            return self.kind == built_in_kind()
        return self.provider in providers_with_key()

    @property
    def address(self) -> str:
        """Where its API is; of a provider with several hosts the first."""
        if not self.speaks_segmind:
            return str(next(iter(settings.PROVIDER_ADDRESSES.get(self.provider, {}).values()), ""))
        return self.base_url if self.is_own else settings.SEGMIND_BASE_URL

    @property
    def key_from_settings(self) -> str:
        """The key of the environment, which wins over one that was set on the page."""
        if self.is_own:
            return ""
        if self.speaks_segmind:
            return settings.SEGMIND_API_KEY
        return settings.PROVIDER_KEYS.get(self.provider, "")

    @property
    def has_key(self) -> bool:
        return bool(self.key_from_settings or self.encrypted_key)

    @property
    def shown_key(self) -> str:
        """The last four characters, all of the key that a page may show."""
        key = self.key_from_settings
        return key[-4:] if len(key) > 8 else self.last_four

    @property
    def takes_admin_key(self) -> bool:
        """Whether its provider has a second kind of key, which is only asked for what was paid."""
        return self.provider in settings.PROVIDER_ADMIN_KEYS

    @property
    def admin_key_from_settings(self) -> str:
        return "" if self.is_own else settings.PROVIDER_ADMIN_KEYS.get(self.provider, "")

    @property
    def has_admin_key(self) -> bool:
        return bool(self.admin_key_from_settings or self.encrypted_admin_key)

    @property
    def is_admin_key_refused(self) -> bool:
        """Whether the provider refused the admin key when it was last asked by it (admin_key.py)."""
        return self.has_admin_key and bool(self.admin_key_failure)

    @property
    def shown_admin_key(self) -> str:
        """The last four characters, as of `shown_key`."""
        key = self.admin_key_from_settings
        return key[-4:] if len(key) > 8 else self.admin_last_four

    @property
    def poll_seconds(self) -> float:
        """An engine on this machine has no rate limit; the vendor's free plan has 5 calls a minute.

        Where each job is asked for by a call of its own, it is the pause between two calls for one job.
        """
        if not self.speaks_segmind:
            return 1.0 if self.is_local else 10.0
        if not self.is_own:
            return float(settings.POLL_SECONDS)
        return 1.0 if self.is_local else 20.0

    @property
    def idle_seconds(self) -> float:
        """Between two polls while no job is active."""
        if self.speaks_segmind and not self.is_own:
            return float(settings.POLL_IDLE_SECONDS)
        return 10.0 if self.is_local else 120.0

    @property
    def takes_jobs(self) -> bool:
        """Whether a job may be started here: the provider is not known to be closed, or is due for a try."""
        return not self.is_training_closed or self.probe_at is None or self.probe_at <= now()

    @property
    def next_probe_at(self) -> datetime | None:
        """When the portal sends the next job to a closed provider; None if any job is that one."""
        return None if self.takes_jobs else self.probe_at

    @property
    def is_training_real(self) -> bool:
        """Of an engine: one that only simulates has no losses."""
        return "losses" in self.capabilities

    @property
    def calls_per_minute(self) -> int:
        """The limit that the operator set, or that was learned; with 0 the provider's headers decide."""
        if self.kind == Kind.ENGINE or (self.speaks_segmind and settings.CALLS_A_MINUTE):
            return 0 if self.kind == Kind.ENGINE else int(settings.CALLS_A_MINUTE)
        is_fresh = self.calls_learned_at is not None and self.calls_learned_at > now() - LEARNED_FOR
        return self.calls_learned or 0 if is_fresh else 0

    @property
    def is_local(self) -> bool:
        return self._host in LOCAL_HOSTS

    @property
    def is_segmind(self) -> bool:
        return self._host == SEGMIND_HOST or self._host.endswith(f".{SEGMIND_HOST}")

    @property
    def _host(self) -> str:
        return urlsplit(self.address).hostname or ""


class Call(models.Model):
    """A call of the last minute. `rate_limit.py` counts them."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="calls")
    made_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.connection} at {self.made_at:%H:%M:%S}"
