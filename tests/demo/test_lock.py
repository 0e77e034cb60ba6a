from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from conveyor_site.demo.lock import Lock, RunsAlreadyError


@pytest.fixture(autouse=True)
def _own_data(tmp_path: Path, settings: Settings) -> None:
    settings.CONVEYOR_DATA_DIR = tmp_path


def test_second_site_of_a_folder_names_the_first() -> None:
    lock = Lock()
    lock.say("http://127.0.0.1:8000")

    with pytest.raises(RunsAlreadyError, match=r" at http://127\.0\.0\.1:8000, as process"):
        Lock()
    lock.release()


def test_released_lock_can_be_taken() -> None:
    Lock().release()

    Lock().release()
