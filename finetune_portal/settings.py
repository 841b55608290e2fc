"""Every setting of the portal. Safe for production as it stands; docs/configuration.md explains them."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlsplit

import dj_database_url

from finetune_portal import env
from finetune_portal.providers.registry import PROVIDERS
from finetune_portal.web import cookies

# Where it runs ------------------------------------------------------------------------------

BASE_DIR = env.ROOT
DATA_DIR = env.data_dir()
DEBUG = env.flag("DEBUG")
SECRET_KEY = env.kept_secret("SECRET_KEY", DATA_DIR / "secrets" / "secret-key")

WEB_URL = env.near_url(env.text("HOST", "127.0.0.1"), env.integer("PORT", 8000))  # for this machine
PORTAL_URL = env.text("PORTAL_URL", WEB_URL).rstrip("/")
PLAIN_HTTP = env.flag("PORTAL_PLAIN_HTTP")
PROXIES = (  # gunicorn.py reads them, too
    "*" if env.text("PORTAL_PROXIES") == "*" else env.networks("PORTAL_PROXIES", "127.0.0.1")
)
_public = urlsplit(PORTAL_URL)
SECURE = _public.scheme == "https"
LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]
ALLOWED_HOSTS = [*map(env.host_of, (PORTAL_URL, WEB_URL)), *LOOPBACK, *env.listing("PORTAL_HOSTS")]
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"]
# Under which path the portal is served: asgi.py adds it to a request where a proxy took it away.
FORCE_SCRIPT_NAME = _public.path or None

# The provider -------------------------------------------------------------------------------

LOCAL_ENGINE = not env.text("SEGMIND_BASE_URL")
ENGINE_PORT = env.integer("ENGINE_PORT", 8100)
ENGINE_HOST = env.text("ENGINE_HOST", "127.0.0.1")
SEGMIND_BASE_URL = env.text("SEGMIND_BASE_URL", env.near_url(ENGINE_HOST, ENGINE_PORT)).rstrip("/")
SEGMIND_API_KEY = (
    env.kept_secret("ENGINE_API_KEY", DATA_DIR / "engine" / "api-key")
    if LOCAL_ENGINE
    else env.secret("SEGMIND_API_KEY")
)
SEGMIND_WEBHOOK_SECRET = env.secret("SEGMIND_WEBHOOK_SECRET")
ENGINE_WEBHOOK_SECRET = env.secret("ENGINE_WEBHOOK_SECRET")
# Other providers declare their variables. A key in the environment makes a built-in connection.
PROVIDER_KEYS = {each.id: env.secret(each.key_variable) for each in PROVIDERS.values()}
PROVIDER_ADMIN_KEYS = {
    each.id: env.secret(each.admin_key_variable) for each in PROVIDERS.values() if each.admin_key_variable
}
PROVIDER_ADDRESSES = {
    each.id: {
        name: env.text(each.variables[name], address).rstrip("/") for name, address in each.addresses.items()
    }
    for each in PROVIDERS.values()
}
# Where a connection that an admin adds may point. Nobody types an address, so no key goes astray.
PROVIDER_URLS = ["https://api.segmind.com", *(url.rstrip("/") for url in env.listing("PORTAL_PROVIDER_URLS"))]
ENCRYPTION_KEYS = env.secret("PORTAL_ENCRYPTION_KEYS").split()  # the newest first
# A neighbour on this machine has no rate limit; the vendor's free plan has 5 calls a minute
# (docs/provider-api.md, 12.2), shared with every other call to it.
_near = LOCAL_ENGINE or (urlsplit(SEGMIND_BASE_URL).hostname or "") in {"127.0.0.1", "localhost", "::1"}
POLL_SECONDS = env.decimal("POLL_SECONDS", 1 if _near else 20)
POLL_IDLE_SECONDS = max(POLL_SECONDS, env.decimal("POLL_IDLE_SECONDS", 10 if _near else 120))
CALLS_A_MINUTE = env.integer("SEGMIND_CALLS_A_MINUTE", 0)  # 0: as many as its answers allow

LOW_CREDITS = env.decimal("PORTAL_LOW_CREDITS", 10)  # below so many the top bar warns

# Limits -------------------------------------------------------------------------------------

# Private networks that a typed address may point into, such as a file server of the company.
OUTBOUND_NETWORKS = env.networks("PORTAL_OUTBOUND_NETWORKS")
DATASET_KEEP_DAYS = env.integer("DATASET_KEEP_DAYS", 0)  # 0 keeps every file for ever
MODEL_KEEP_DAYS = env.integer("MODEL_KEEP_DAYS", 0)  # 0 keeps every copy of a model file for ever
BACKUP_MODELS = env.flag("BACKUP_MODELS")  # whether a backup has the copies of model files
AUDIT_KEEP_DAYS = env.integer("AUDIT_KEEP_DAYS", 0)  # 0 keeps every line; the database refuses less than 30
DATASET_MAX_BYTES = min(env.integer("DATASET_MAX_BYTES", 5_000_000_000), 5 * 1024**3)  # one S3 PUT ends there
UPLOAD_KEEP_HOURS = env.integer("UPLOAD_KEEP_HOURS", 24, least=1)  # of an upload that does not go on
UPLOAD_QUIET_SECONDS = env.decimal("UPLOAD_QUIET_SECONDS", 15)  # then a connection counts as lost
UPLOADS_OPEN_MAX = env.integer("UPLOADS_OPEN_MAX", 10, least=1)  # of a person; each holds its room
DISK_FLOOR_BYTES = env.disk_floor()  # stays free whatever comes in
TOKEN_CALLS = env.integer("PORTAL_TOKEN_CALLS", 300, least=1)  # a minute, by each personal token
RUNS_A_MINUTE = env.integer("PORTAL_RUNS_A_MINUTE", 30, least=1)  # by the tokens of each person
RUN_WAIT_SECONDS = env.decimal("PORTAL_RUN_WAIT_SECONDS", 25)  # then a run is answered with 202
RUN_REUSE_SECONDS = env.integer("PORTAL_RUN_REUSE_SECONDS", 0)  # 0: no run answers for another
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000  # a page of captions has up to 500
FILE_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024  # of a body; what is longer goes to a file while it arrives
FILE_UPLOAD_HANDLERS = ["finetune_portal.storage.uploads.StoredUploadHandler"]

# Django -------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.usersessions",
    "axes",
    "django_htmx",
    "finetune_portal.web",
    "finetune_portal.audit",
    "finetune_portal.accounts",
    "finetune_portal.projects",
    "finetune_portal.connections",
    "finetune_portal.costs",
    "finetune_portal.datasets",
    "finetune_portal.jobs",
    "finetune_portal.registry",
    "finetune_portal.playground",
    "finetune_portal.notifications",
    "finetune_portal.webhooks",
    "finetune_portal.deletion",
    "finetune_portal.gateway",
    "finetune_portal.worker",
    "finetune_portal.operations",
]
MIDDLEWARE = [
    "finetune_portal.web.request_context.request_context_middleware",
    "finetune_portal.web.middleware.log_denied_requests",
    "django.middleware.security.SecurityMiddleware",
    "finetune_portal.web.middleware.security_headers",
    "finetune_portal.web.middleware.reject_nul_in_query",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "finetune_portal.web.middleware.redirect_forms",
    "finetune_portal.web.middleware.HTMLGZipMiddleware",
    "finetune_portal.web.cookies.rename_old_cookies",
    "finetune_portal.accounts.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "finetune_portal.accounts.middleware.LoginRequiredMiddleware",
    "finetune_portal.web.confirmation.ConfirmMiddleware",
    "finetune_portal.web.middleware.redirect_reloads",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "finetune_portal.web.middleware.append_messages",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "finetune_portal.urls"
ASGI_APPLICATION = "finetune_portal.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": [
                "django.templatetags.static",
                "finetune_portal.web.templatetags.portal",
                "finetune_portal.accounts.templatetags.accounts",
                "finetune_portal.connections.templatetags.connections",
                "finetune_portal.costs.templatetags.costs",
                "finetune_portal.datasets.templatetags.datasets",
                "finetune_portal.jobs.templatetags.jobs",
                "finetune_portal.registry.templatetags.registry",
                "finetune_portal.playground.templatetags.playground",
                "finetune_portal.gateway.templatetags.gateway",
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "finetune_portal.connections.banners.banners",
            ],
        },
    }
]

_DATABASE_URL = env.secret("DATABASE_URL")
# Of the threads in web/asgi_handler.py, for opening one costs more than most questions.
CONN_MAX_AGE = 60  # seconds
SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": DATA_DIR / "portal.sqlite3",
    "CONN_MAX_AGE": CONN_MAX_AGE,
    "OPTIONS": {
        # A transaction that reads first and writes later fails at once unless it starts IMMEDIATE.
        "transaction_mode": "IMMEDIATE",
        "timeout": env.decimal("SQLITE_WAIT_SECONDS", 10),  # for a writer; then web/busy.py answers
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
            "PRAGMA journal_size_limit=67108864; PRAGMA secure_delete=ON;"
        ),
    },
}
DATABASES = {
    "default": dj_database_url.parse(_DATABASE_URL, conn_max_age=CONN_MAX_AGE, conn_health_checks=True)
    if _DATABASE_URL
    else SQLITE
}
CACHES = {
    "default": {"BACKEND": "finetune_portal.web.shared_cache.SharedCache"},  # counts tries, also for allauth
    "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 5000}},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# People -------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "jobs:list"
LOGOUT_REDIRECT_URL = "accounts:login"
PASSWORD_HASHERS = ["finetune_portal.accounts.passwords.Argon2idPasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    *(
        {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
        for name, options in (
            ("UserAttributeSimilarityValidator", {"user_attributes": ("email", "name")}),
            ("MinimumLengthValidator", {"min_length": 12}),
            ("CommonPasswordValidator", {}),
        )
    ),
    {"NAME": "finetune_portal.accounts.passwords.ContextWordsValidator"},
]
PASSWORD_RESET_TIMEOUT = 24 * 60 * 60
PASSWORD_SIGN_IN = env.flag("PORTAL_PASSWORD_SIGN_IN", default=True)
REQUIRE_SECOND_FACTOR = env.flag("PORTAL_REQUIRE_SECOND_FACTOR")
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]

# Five wrong passwords for an e-mail from one address close it for a quarter of an hour; accounts/throttle.py
# counts, and lets an office behind one address try more often.
AXES_HANDLER = "finetune_portal.accounts.throttle.AxesHandler"
AXES_FAILURE_LIMIT = 5
AXES_USERNAME_FORM_FIELD = "username"  # as everywhere authenticate() is called; else its check knows no name
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_DISABLE_ACCESS_LOG = True  # the record of the portal has it
AXES_USERNAME_CALLABLE = "finetune_portal.accounts.throttle.attempted_email"
AXES_CLIENT_IP_CALLABLE = "finetune_portal.accounts.throttle.counted_address"
AXES_LOCKOUT_CALLABLE = "finetune_portal.accounts.throttle.lockout_response"
AXES_VERBOSE = False

ACCOUNT_ADAPTER = "finetune_portal.accounts.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_REAUTHENTICATION_TIMEOUT = 15 * 60
# E-mails for a new password; `key` is the address.
ACCOUNT_RATE_LIMITS = {"reset_password": "20/m/ip,5/m/key,10/d/key"}  # nosec B105  # no password
MFA_ADAPTER = "finetune_portal.accounts.adapters.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_FORMS = {
    "authenticate": "finetune_portal.accounts.forms.CodeForm",
    "reauthenticate": "finetune_portal.accounts.forms.ReauthenticateCodeForm",
}
MFA_TOTP_ISSUER = "Finetune Portal"
MFA_TOTP_TOLERANCE = 1  # a clock may be half a minute off
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_ALLOW_UNVERIFIED_EMAIL = True  # the portal verifies none: people come by invitation

OIDC_ISSUER = env.text("OIDC_ISSUER").rstrip("/")
OIDC_CLIENT_ID = env.text("OIDC_CLIENT_ID")
OIDC_CLIENT_SECRET = env.secret("OIDC_CLIENT_SECRET")
OIDC_NAME = env.text("OIDC_NAME", "single sign-on")
OIDC_GROUPS_CLAIM = env.text("OIDC_GROUPS_CLAIM", "groups")
OIDC_GROUPS = {  # the highest role first
    "admin": env.listing("OIDC_ADMIN_GROUPS"),
    "maker": env.listing("OIDC_MAKER_GROUPS"),
    "viewer": env.listing("OIDC_VIEWER_GROUPS"),
}
OIDC_ADMIT_ALL = env.flag("OIDC_ADMIT_ALL")
OIDC_LINK_BY_EMAIL = env.flag("OIDC_LINK_BY_EMAIL")
SOCIALACCOUNT_ADAPTER = "finetune_portal.accounts.adapters.SocialAccountAdapter"
SOCIALACCOUNT_REQUESTS_TIMEOUT = 10
SOCIALACCOUNT_PROVIDERS = {
    "oidc": {
        "OAUTH_PKCE_ENABLED": True,
        "SCOPE": env.listing("OIDC_SCOPES", "openid,profile,email"),
        "APP": {
            "provider_id": "oidc",
            "name": OIDC_NAME,
            "client_id": OIDC_CLIENT_ID,
            "secret": OIDC_CLIENT_SECRET,
            "settings": {"server_url": OIDC_ISSUER},
        },
    }
}

# E-mail -------------------------------------------------------------------------------------

EMAIL_HOST = env.text("PORTAL_EMAIL_HOST")  # without one no e-mail is sent
EMAIL_PORT = env.integer("PORTAL_EMAIL_PORT", 587, least=1)
EMAIL_HOST_USER = env.text("PORTAL_EMAIL_USER")
EMAIL_HOST_PASSWORD = env.secret("PORTAL_EMAIL_PASSWORD")
_email_tls = env.flag("PORTAL_EMAIL_TLS", default=True)
EMAIL_USE_SSL = _email_tls and EMAIL_PORT == 465
EMAIL_USE_TLS = _email_tls and not EMAIL_USE_SSL
EMAIL_TIMEOUT = 15
DEFAULT_FROM_EMAIL = env.text("PORTAL_EMAIL_FROM", f"portal@{_public.hostname}")

# Browser ------------------------------------------------------------------------------------

SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = f"{_public.path}/"
_cookie_prefix = "" if not SECURE else "__Secure-" if _public.path else "__Host-"
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME, LOOK_COOKIE_NAME, TABLE_COOKIE_NAME = (
    _cookie_prefix + cookies.name_for(kind, PORTAL_URL) for kind in ("session", "csrf", "look", "table")
)
OLD_COOKIE_NAMES = {
    SESSION_COOKIE_NAME: "__Host-sessionid" if SECURE else "sessionid",
    CSRF_COOKIE_NAME: "__Host-csrftoken" if SECURE else "csrftoken",
}
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_ENGINE = "finetune_portal.accounts.session_store"
SESSION_COOKIE_AGE = 3600 * env.integer("PORTAL_SESSION_HOURS", 12, least=1)
SESSION_IDLE_SECONDS = 60 * env.integer("PORTAL_IDLE_MINUTES", 480, least=10)
CSRF_FAILURE_VIEW = "finetune_portal.web.views.csrf_failure"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = SECURE
_below = re.escape(f"{_public.path}/".lstrip("/"))
SECURE_REDIRECT_EXEMPT = [
    *(rf"^{_below}{name}$" for name in ("healthz", "readyz", "metrics")),  # asked from this machine
    rf"^{_below}hooks/",
    *(rf"^{_below}{name}/" for name in ("finetune", "v1")),  # gateway/api_call.py refuses instead
]
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE

STATIC_URL = f"{_public.path}/static/"
STATIC_ROOT = DATA_DIR / "static"
FILE_UPLOAD_PERMISSIONS = 0o600  # of the packed static files; the default is 0o644, whatever the mask
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "finetune_portal.web.static.HashedStaticFilesStorage"},
}

# Who may read /metrics, by token or from where.
METRICS_TOKEN = env.secret("PORTAL_METRICS_TOKEN")
METRICS_NETWORKS = env.networks("PORTAL_METRICS_NETWORKS", "127.0.0.0/8,::1/128")

# Words --------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "finetune_portal.web.logs.RedactingFormatter",
            "secrets": [
                SECRET_KEY,
                SEGMIND_API_KEY,
                EMAIL_HOST_PASSWORD,
                OIDC_CLIENT_SECRET,
                METRICS_TOKEN,
                _DATABASE_URL,
                *ENCRYPTION_KEYS,
                *PROVIDER_KEYS.values(),
                *PROVIDER_ADMIN_KEYS.values(),
            ],
            "as_json": env.flag("PORTAL_LOG_JSON"),
        }
    },
    "filters": {
        "repeats": {"()": "finetune_portal.web.logs.RepeatFilter"},
        "refusals": {"()": "finetune_portal.web.logs.RefusalFilter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["repeats", "refusals"],  # in this order: a kind of line is known by its message
        }
    },
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "django.security.csrf": {"level": "ERROR"},  # web/middleware.py says it of every refusal
        "axes": {"level": "ERROR"},  # tries are in the record
        "apprise": {"level": "WARNING", "propagate": False},  # its lines can hold addresses and tokens
        "urllib3": {"level": "WARNING"},  # at DEBUG its lines hold signed addresses
        "django.security.DisallowedHost": {"level": "CRITICAL"},  # one traceback per scanner otherwise
    },
}
