"""The port of the demonstration: the one that was asked for, else the same at each start."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from conveyor_site.demo.ports import HOST, PortTakenError, choose_port
from tests.postgres import free_port


@pytest.fixture(autouse=True)
def data_folder(settings: Settings, tmp_path: Path) -> None:
    settings.CONVEYOR_DATA_DIR = tmp_path


def test_port_that_was_asked_for_is_remembered() -> None:
    asked = free_port()
    assert choose_port(asked) == asked
    assert choose_port() == asked


def test_taken_port_is_refused_or_replaced() -> None:
    asked = choose_port(free_port())
    with socket.create_server((HOST, asked)):
        with pytest.raises(PortTakenError, match=f"Port {asked} of {HOST} cannot be used"):
            choose_port(asked)
        assert choose_port() != asked


def test_unreadable_memory_of_the_port_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "demo.port").write_text("99999999")
    assert choose_port() > 0
