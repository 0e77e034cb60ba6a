"""Settings of the environment: what they may say, and what is refused."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from conveyor_site.environment import checked_log_level, checked_public_url, checked_time_scale


def test_what_is_allowed_is_taken() -> None:
    assert checked_time_scale("0.5") == 0.5
    assert checked_log_level("WARNING") == "WARNING"
    assert checked_public_url("https://ci.example.org/") == "https://ci.example.org"
    assert checked_public_url("http://[::1]:8000") == "http://[::1]:8000"


@pytest.mark.parametrize("text", ["x", "0", "-1", "nan", "inf", "1e999"])
def test_a_scale_is_a_number_above_nothing(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"CONVEYOR_TIME_SCALE is '{text}'. It must"):
        checked_time_scale(text)


@pytest.mark.parametrize("text", ["LOUD", "info", "10"])
def test_unknown_log_level_is_refused_with_the_levels(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"is '{text}'. It must be one of DEBUG, INFO, "):
        checked_log_level(text)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "ci.example.org",
        "ftp://ci.example.org",
        "http://",
        "https:///runs",
        "http://[",
        "http://ci.example.org:x",
        "http://ci.example.org:99999",
        "http://two words",
        "http://a\udcff",
    ],
)
def test_a_public_url_has_a_scheme_and_a_host(text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"CONVEYOR_PUBLIC_URL is .* http://"):
        checked_public_url(text)
