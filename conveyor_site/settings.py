"""Django settings; a site changes them by environment variables and in the database.

Only what is needed to reach the database, the queue and the keys is read from the environment;
the rest is edited in the admin (``products.models.Configuration``).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext
from django.core.management.utils import get_random_secret_key

from conveyor_site.broker_url import checked_broker_url
from conveyor_site.data_folder import data_folder, only_checks
from conveyor_site.database_url import database_from_url, sqlite_database, without_new_file
from conveyor_site.environment import (
    checked_count,
    checked_log_level,
    checked_public_url,
    checked_time_scale,
)
from conveyor_site.local_secret import local_secret, new_credential_keys, private_file

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent

# --- Folders and addresses --------------------------------------------------------------------
# A check of a belt file works on any machine, and makes no folder, secret or database there.
_ONLY_CHECKS = only_checks(sys.argv)
CONVEYOR_DATA_DIR = Path(os.environ.get("CONVEYOR_DATA_DIR") or BASE_DIR / ".conveyor").resolve()
if not _ONLY_CHECKS:
    data_folder(CONVEYOR_DATA_DIR)
# Job folders; a root runner keeps them out of private homes (see runners.settings_block).
CONVEYOR_WORK_DIR = os.environ.get("CONVEYOR_WORK_DIR", "")
CONVEYOR_LEAST_FREE_MIB = checked_count(
    "CONVEYOR_LEAST_FREE_MIB", os.environ.get("CONVEYOR_LEAST_FREE_MIB") or "64"
)
CONVEYOR_LEAST_FREE_FILES = checked_count(
    "CONVEYOR_LEAST_FREE_FILES", os.environ.get("CONVEYOR_LEAST_FREE_FILES") or "1000"
)
# Unset means the embedded queue, which the first process that needs it starts.
CONVEYOR_BROKER_URL = checked_broker_url(os.environ.get("CONVEYOR_BROKER_URL", ""))
CONVEYOR_PUBLIC_URL = checked_public_url(
    os.environ.get("CONVEYOR_PUBLIC_URL") or "http://127.0.0.1:8000"
)
CONVEYOR_PUBLIC_URL_GIVEN = bool(os.environ.get("CONVEYOR_PUBLIC_URL"))
CONVEYOR_EMBEDDED = "CONVEYOR_DATABASE_URL" not in os.environ

# --- Keys -------------------------------------------------------------------------------------
SECRET_KEY = os.environ.get("CONVEYOR_SECRET_KEY") or local_secret(
    CONVEYOR_DATA_DIR / "secret-key", get_random_secret_key, keep=not _ONLY_CHECKS
)
CONVEYOR_KEYS = os.environ.get("CONVEYOR_KEYS") or local_secret(
    CONVEYOR_DATA_DIR / "credential-keys", new_credential_keys, keep=not _ONLY_CHECKS
)

# Whether these were set. Processes remove the variables from their environment after this.
CONVEYOR_KEYS_GIVEN = bool(os.environ.get("CONVEYOR_KEYS"))
CONVEYOR_SECRET_KEY_GIVEN = bool(os.environ.get("CONVEYOR_SECRET_KEY"))

# --- Times of the engine, in seconds; conveyor_site.checks enforces their ratios ----------------
# One test scale divides them all, so that process tests run the same ratios in less time.
CONVEYOR_TIME_SCALE = checked_time_scale(os.environ.get("CONVEYOR_TIME_SCALE") or "1")
_TIMES = {
    "lease": 60,  # an attempt belongs to its runner until then, on the database's clock
    "renew": 10,  # how often a runner renews its leases
    "silence_term": 40,  # without a renewal for this time the supervisor sends SIGTERM to the job
    "silence_kill": 50,  # ... and SIGKILL after this time, before the lease ends
    "lost_grace": 15,  # past the lease, before the server declares the runner lost
    "alive": 5,  # interval of the reports of a slot to its parent
    "alive_limit": 15,  # the lease of a slot that did not report for this time is not renewed
    "poll": 15,  # interval in which a runner polls for work
    "sweep": 5,  # interval of the reconciler
    "hint_again": 30,  # time until another hint for a queued job
    "kill_grace": 10,  # between TERM and KILL when a job is cancelled or out of time
    "cancel_force": 60,  # time until the server enforces a cancel that the runner did not answer
    "offline": 45,  # a runner without heartbeat for this time is shown as offline
    "claim_work": 60,  # time of a claim of a duty
    "request": 20,  # time limit for a complete request of a caller
    "claim_row": 20,  # time of a claim of an outbox row, renewed during delivery
}
CONVEYOR_TIMES: dict[str, float] = {
    name: seconds / CONVEYOR_TIME_SCALE for name, seconds in _TIMES.items()
}

# --- Django -----------------------------------------------------------------------------------
DEBUG = os.environ.get("CONVEYOR_DEBUG", "") == "1"
_public = urlsplit(CONVEYOR_PUBLIC_URL)
ALLOWED_HOSTS = sorted(
    {"127.0.0.1", "localhost", "[::1]", _public.hostname or "localhost"}
    | {host for host in os.environ.get("CONVEYOR_ALLOWED_HOSTS", "").split(",") if host}
)
CSRF_TRUSTED_ORIGINS = [CONVEYOR_PUBLIC_URL]
CSRF_FAILURE_VIEW = "conveyor_site.views.csrf_failure"
INSTALLED_APPS = [
    "conveyor_site.apps.ConveyorSiteConfig",
    "runners.apps.RunnersConfig",
    "runs.apps.RunsConfig",
    "belts.apps.BeltsConfig",
    "products.apps.ProductsConfig",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_results",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "conveyor_site.static_files.StaticFilesMiddleware",
    # Static files are public and are served before this.
    "conveyor_site.private_answers.PrivateAnswersMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "conveyor_site.content_policy.ContentPolicyMiddleware",
    "conveyor_site.null_characters.NullCharacterMiddleware",
    "conveyor_site.visible_text.VisibleTextMiddleware",
]
ROOT_URLCONF = "conveyor_site.urls"
ASGI_APPLICATION = "conveyor_site.asgi.application"
WSGI_APPLICATION = "conveyor_site.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
_database_file = CONVEYOR_DATA_DIR / "conveyor.sqlite3"
if not _ONLY_CHECKS and CONVEYOR_EMBEDDED:
    private_file(_database_file)
_database = (
    sqlite_database(_database_file)
    if CONVEYOR_EMBEDDED
    else database_from_url(os.environ["CONVEYOR_DATABASE_URL"])
)
DATABASES = {"default": without_new_file(_database) if _ONLY_CHECKS else _database}
CONVEYOR_DATABASE_IS_FILE = DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
# Django's own formats have no time zone.
FORMAT_MODULE_PATH = ["conveyor_site.formats"]
STATIC_URL = "/static/"
STATIC_ROOT = CONVEYOR_DATA_DIR / "static"
# Empty unless collectstatic fills it; WhiteNoise warns about a missing folder.
if not _ONLY_CHECKS:
    data_folder(STATIC_ROOT)
STATICFILES_DIRS = [BASE_DIR / "conveyor_site" / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# Counts wrong passwords. It is large enough that no caller can displace the counts of others.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

# --- Security ---------------------------------------------------------------------------------
_https = _public.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = _https and os.environ.get("CONVEYOR_SSL_REDIRECT", "") == "1"
# The proxy that ends TLS redirects; load balancers ask /readyz over http.
SILENCED_SYSTEM_CHECKS = ["security.W008"] if _https else []
SECURE_HSTS_SECONDS = 31536000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _https else None
# Proxies whose X-Forwarded-For is trusted. From any other address it could be forged.
CONVEYOR_PROXIES = [
    each.strip() for each in os.environ.get("CONVEYOR_PROXIES", "").split(",") if each.strip()
]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# --- HTTP API ---------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "conveyor_site.auth.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["conveyor_site.auth.ScopedPermission"],
    "DEFAULT_PAGINATION_CLASS": "conveyor_site.pagination.TimeCursorPagination",
    "PAGE_SIZE": 50,
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "conveyor_site.api.browsing.PageRenderer",
    ],
    "EXCEPTION_HANDLER": "conveyor_site.api_errors.handle_exception",
    "DEFAULT_SCHEMA_CLASS": "conveyor_site.api.schema.SiteSchema",
    "DEFAULT_VERSIONING_CLASS": None,
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Conveyor",
    "DESCRIPTION": "Products, belts, runs and runners of a Conveyor site.",
    "VERSION": "1",
    # 3.1 has the whole of JSON Schema, as for the names of a start's parameters.
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    # Without an address here Swagger UI would ask a validator elsewhere.
    "SWAGGER_UI_SETTINGS": {"validatorUrl": None, "defaultModelsExpandDepth": 0},
    "ENUM_NAME_OVERRIDES": {
        "BeltRunState": "runs.states.BeltRunState",
        "JobRunState": "runs.states.JobRunState",
        "AttemptState": "runs.states.AttemptState",
        "RunnerState": "runners.models.Runner.State",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "conveyor_site.api.schema.describe_errors",
    ],
}

# --- Logging ----------------------------------------------------------------------------------
_log_level = checked_log_level(os.environ.get("CONVEYOR_LOG_LEVEL") or "INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
    },
    "filters": {"unknown_host": {"()": "conveyor_site.host_names.UnknownHost"}},
    "loggers": {"django.security.DisallowedHost": {"filters": ["unknown_host"]}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": _log_level},
}
