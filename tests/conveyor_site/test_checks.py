from __future__ import annotations

import pytest
from django.conf import settings
from django.core.checks import run_checks
from pytest_django.fixtures import Settings

from conveyor_site.checks import check_queue, check_shared, check_times
from runners.settings_block import CELERY_SETTINGS


def test_the_settings_as_they_are_are_sound() -> None:
    assert [each for each in run_checks() if each.is_serious()] == []


@pytest.mark.parametrize("scale", [0.1, 1, 20, 1000])
def test_a_scale_keeps_the_ratios(settings: Settings, scale: float) -> None:
    times = {name: value / scale for name, value in settings.CONVEYOR_TIMES.items()}
    settings.CONVEYOR_TIMES = times
    assert check_times() == []


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("lease", 45, "silence_kill (50 s) must be smaller than lease (45 s)."),
        ("silence_term", 55, "silence_term (55 s) must be smaller than silence_kill (50 s)."),
        ("renew", 14, "3 times renew must be smaller than silence_term."),
        ("alive_limit", 41, "alive_limit (41 s) must be smaller than silence_term (40 s)."),
        ("kill_grace", 11, "silence_term and kill_grace together"),
        ("cancel_force", 15, "cancel_force must be longer than kill_grace and renew together"),
        ("offline", 30, "offline must be longer than 3 times renew."),
        ("sweep", 0, "sweep is 0; it must be above 0."),
    ],
)
def test_times_that_break_the_promise_are_errors(
    settings: Settings, name: str, value: float, sentence: str
) -> None:
    settings.CONVEYOR_TIMES = {**settings.CONVEYOR_TIMES, name: value}
    found = check_times()
    assert any(sentence in each.msg for each in found), found
    assert all(each.is_serious() for each in found)


def test_a_message_that_would_be_acted_on_twice_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(CELERY_SETTINGS, "task_acks_late", True)
    assert [each.id for each in check_queue()] == ["conveyor.E002"]


def test_unshared_secret_key_is_a_warning(
    settings: Settings,
) -> None:
    settings.CONVEYOR_EMBEDDED = False
    settings.CONVEYOR_BROKER_URL = "redis://127.0.0.1:1/0"
    settings.CONVEYOR_KEYS_GIVEN = True
    settings.CONVEYOR_SECRET_KEY_GIVEN = False
    (found,) = check_shared()
    assert "CONVEYOR_SECRET_KEY is not." in found.msg
    settings.CONVEYOR_SECRET_KEY_GIVEN = True
    assert check_shared() == []
    settings.CONVEYOR_EMBEDDED = True
    assert check_shared() == []


@pytest.mark.parametrize(("is_file", "said"), [(False, ["conveyor.W002"]), (True, [])])
def test_unshared_queue_is_a_warning(settings: Settings, is_file: bool, said: list[str]) -> None:
    settings.CONVEYOR_EMBEDDED = False
    settings.CONVEYOR_BROKER_URL = ""
    settings.CONVEYOR_DATABASE_IS_FILE = is_file
    settings.CONVEYOR_KEYS_GIVEN = settings.CONVEYOR_SECRET_KEY_GIVEN = True
    assert [each.id for each in check_shared()] == said


def test_no_secret_is_repeated_in_a_sentence() -> None:
    said = " ".join(each.msg for each in (*check_times(), *check_queue(), *check_shared()))
    assert settings.SECRET_KEY not in said
