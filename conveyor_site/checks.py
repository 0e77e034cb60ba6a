"""System checks: settings that would break a guarantee are errors at the start."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from products.shared_settings import KEYS, QUEUE, SECRET_KEY, unshared_settings
from runners.settings_block import CELERY_SETTINGS

#: Each must be smaller than the next: a job's processes die before its lease ends.
_ORDER = ("alive", "renew", "alive_limit", "silence_term", "silence_kill", "lease")
#: Renewals that may fail before the processes of a job get SIGTERM.
_SPARE_RENEWALS = 3
_UNSHARED = {KEYS: "conveyor.W001", SECRET_KEY: "conveyor.W001", QUEUE: "conveyor.W002"}


def check_times(**_options: Any) -> Sequence[CheckMessage]:
    """Return errors in the times of the engine (CONVEYOR_TIMES)."""
    times: dict[str, float] = settings.CONVEYOR_TIMES
    found = [
        f"{name} is {value:g}; it must be above 0." for name, value in times.items() if value <= 0
    ]
    found += [
        f"{first} ({times[first]:g} s) must be smaller than {second} ({times[second]:g} s)."
        for first, second in pairwise(_ORDER)
        if times[first] >= times[second]
    ]
    if times["renew"] * _SPARE_RENEWALS >= times["silence_term"]:
        found.append(f"{_SPARE_RENEWALS} times renew must be smaller than silence_term.")
    if times["kill_grace"] + times["silence_term"] > times["silence_kill"]:
        found.append("silence_term and kill_grace together must not be longer than silence_kill.")
    if times["cancel_force"] <= times["kill_grace"] + times["renew"]:
        found.append("cancel_force must be longer than kill_grace and renew together.")
    if times["offline"] <= times["renew"] * _SPARE_RENEWALS:
        found.append(f"offline must be longer than {_SPARE_RENEWALS} times renew.")
    hint = "Change them with CONVEYOR_TIME_SCALE only, which keeps their ratios."
    return [Error(f"CONVEYOR_TIMES: {each}", hint=hint, id="conveyor.E001") for each in found]


def check_queue(**_options: Any) -> Sequence[CheckMessage]:
    """Return errors in the settings of Celery."""
    wanted = {"task_acks_late": False, "task_reject_on_worker_lost": False}
    return [
        Error(
            f"CELERY_SETTINGS: {name} must be {value}. Otherwise a message is processed twice.",
            hint="See docs/decisions/0002-runner-processes.md.",
            id="conveyor.E002",
        )
        for name, value in wanted.items()
        if CELERY_SETTINGS.get(name) is not value
    ]


def check_shared(**_options: Any) -> Sequence[CheckMessage]:
    """Return warnings about settings that all processes must share and this one has not."""
    return [
        Warning(each.what, hint=each.way_out, id=_UNSHARED[each.name])
        for each in unshared_settings(*_UNSHARED)
    ]
