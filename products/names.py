"""Names of products, belts and jobs: one rule for the file, the admin and the API."""

from __future__ import annotations

from django.core.validators import RegexValidator

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}"
NAME_MAX = 100
QUEUE_PATTERN = r"[a-z0-9][a-z0-9._-]{0,62}"

validate_name = RegexValidator(
    rf"\A{NAME_PATTERN}\Z",
    "Enter a name of letters, digits, '-' and '_' that starts with a letter or digit.",
)
validate_queue = RegexValidator(
    rf"\A{QUEUE_PATTERN}\Z",
    "Enter a queue of lower-case letters, digits, '.', '-' and '_'.",
)
