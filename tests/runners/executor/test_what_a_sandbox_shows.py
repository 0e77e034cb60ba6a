"""A sandboxed job sees the system's folders, the tools on its PATH, and what is its own."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from runners.executor.sandbox import private_settings, shown_for
from runners.executor.zygote import ZygoteProcess
from tests.runners.executor.attempts import LEVELS, Lab, isolation_of

CANARY = "c4n4ry-value"
SANDBOXES = [level for level in LEVELS if level.startswith("sandbox")]


@pytest.fixture(params=SANDBOXES)
def sandboxed(request: pytest.FixtureRequest, work_dir: Path, zygote: ZygoteProcess) -> Lab:
    isolation = isolation_of(request.param)
    if isolation is None:
        pytest.skip(f"this machine or user cannot isolate by {request.param}")
    return Lab(work_dir, zygote.client(), isolation)


@pytest.fixture
def open_folder(folder: Path) -> Path:
    """A folder that everybody may write to, with a file that everybody may read."""
    folder.chmod(0o777)
    (folder / "canary").write_text(CANARY)
    (folder / "canary").chmod(0o644)
    return folder


def test_it_shows_no_other_folder_of_the_machine(sandboxed: Lab, open_folder: Path) -> None:
    sandboxed.run(
        f"cat {open_folder}/canary || ls /home /root /srv /mnt /sys || echo end", language="sh"
    )
    assert sandboxed.reporter.text("stdout") == "end\n"


def test_what_is_left_in_its_tmp_and_shared_memory_is_not_there_for_the_next(
    sandboxed: Lab,
) -> None:
    name = f"left-{os.getpid()}"
    left = [f"{place}/{name}" for place in ("/tmp", "/var/tmp", "/dev/shm", "/run")]
    sandboxed.run(f"touch {' '.join(left)}; echo written", language="sh")
    sandboxed.run(f"ls {' '.join(left)} || echo gone", language="sh")
    there = [path for path in left if Path(path).exists()]
    for path in there:
        Path(path).unlink()
    assert there == []
    assert sandboxed.reporter.text("stdout") == "written\ngone\n"


@pytest.mark.parametrize("name", ["tmp", "home", "workspace", "job"])
def test_no_symlink_of_a_job_leads_its_post_run_out(
    sandboxed: Lab, open_folder: Path, name: str
) -> None:
    script = (
        f'cd /; top="${{HOME%/*}}"; mv "$top/{name}" "$top/old"; ln -s {open_folder} "$top/{name}"'
    )
    look = f'cat /tmp/canary "${{HOME%/*}}/{name}/canary" {open_folder}/canary; touch /tmp/mark'
    sandboxed.run(f"({script}) || :", post_run=look, language="sh")
    assert CANARY not in sandboxed.reporter.text()
    assert [each.name for each in open_folder.iterdir()] == ["canary"]


def test_what_is_shown_of_a_path_cannot_be_written(sandboxed: Lab, open_folder: Path) -> None:
    isolation = dataclasses.replace(sandboxed.isolation, shown=(str(open_folder),))
    script = f"cat {open_folder}/canary; touch {open_folder}/mark || echo refused"
    sandboxed.run(script, isolation=isolation, language="sh")
    assert sandboxed.reporter.text("stdout") == f"{CANARY}refused\n"


def test_what_is_to_be_hidden_is_hidden_within_what_is_shown(
    sandboxed: Lab, open_folder: Path
) -> None:
    tools, link = open_folder / "tools", open_folder / "link"
    (tools / "data").mkdir(parents=True)
    for each in ("data/canary", "secret", "tool"):
        (tools / each).write_text(CANARY)
    link.symlink_to(tools)
    isolation = dataclasses.replace(
        sandboxed.isolation,
        hidden=(str(tools / "data"), str(tools / "secret")),
        shown=(str(tools), str(link)),
    )
    look = " ".join(f"{top}/data/canary {top}/secret" for top in (tools, link))
    sandboxed.run(f"cat {look} || :; cat {link}/tool", isolation=isolation, language="sh")
    assert sandboxed.reporter.text("stdout") == CANARY


def test_other_attempts_and_the_zygote_are_hidden_within_what_is_shown(sandboxed: Lab) -> None:
    neighbour = sandboxed.work_dir / "01234567-0123-7123-8123-0123456789ab"
    neighbour.mkdir(mode=0o755)
    (neighbour / "canary").write_text(CANARY)
    isolation = dataclasses.replace(sandboxed.isolation, shown=(str(sandboxed.work_dir),))
    path = sandboxed.work_dir / "zygote.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        path.chmod(0o777)
        look = f"cat {neighbour}/canary || :; ls {sandboxed.work_dir}; ls {path} || echo hidden"
        sandboxed.run(look, isolation=isolation, language="sh")
    text = sandboxed.reporter.text("stdout")
    assert CANARY not in text
    assert neighbour.name not in text
    assert text.endswith("hidden\n")


# --- Which parts of a PATH are shown --------------------------------------------------------------
@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def made(*folders: Path) -> list[Path]:
    for each in folders:
        each.mkdir(parents=True)
    return list(folders)


def test_of_a_folder_of_settings_in_a_home_only_programs_and_libraries_are_shown(
    home: Path,
) -> None:
    local = home / ".local"
    made(local / "bin", local / "lib", local / "share" / "keyrings")
    (home / ".cargo" / "bin").mkdir(parents=True)
    (home / ".cargo" / "credentials.toml").write_text(CANARY)
    assert shown_for(f"{local}/bin:{home}/.cargo/bin:relative:/not/there") == (
        str(local / "bin"),
        str(local / "lib"),
        str(home / ".cargo" / "bin"),
    )


def test_of_a_virtual_environment_nothing_is_shown_that_lies_there_besides(home: Path) -> None:
    place = home / "site"
    made(place / "bin", place / "lib", place / ".conveyor")
    (place / "pyvenv.cfg").touch()
    assert shown_for(f"{place}/bin") == (
        str(place / "bin"),
        str(place / "lib"),
        str(place / "pyvenv.cfg"),
    )


def test_tools_in_a_folder_of_their_own_are_shown_whole(home: Path) -> None:
    made(home / "node" / "bin", home / ".pyenv" / "shims", home / "bin", home / "scripts")
    path = ":".join(f"{home}/{each}" for each in ("node/bin", ".pyenv/shims", "bin", "scripts"))
    assert shown_for(path) == tuple(
        f"{home}/{each}" for each in ("node", ".pyenv", "bin", "scripts")
    )


def test_what_a_link_in_something_shown_leads_to_is_shown_where_it_is(home: Path) -> None:
    made(home / "tools" / "bin", home / "jdk" / "bin", home / "tools" / "inner" / "bin")
    (home / "tools" / "java").symlink_to(home / "jdk")
    path = ":".join(f"{home}/tools/{each}" for each in ("bin", "java/bin", "inner/bin"))
    assert shown_for(path) == (f"{home}/tools", f"{home}/jdk")


@pytest.mark.parametrize("entry", ["", "/"])
def test_no_disk_and_nothing_that_a_home_lies_in_is_shown_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    made(tmp_path / "bin", tmp_path / "people" / "anna")
    monkeypatch.setenv("HOME", str(tmp_path / "people" / "anna"))
    assert shown_for(f"{tmp_path}/bin{entry}") == (f"{tmp_path}/bin",)


# --- Private settings -----------------------------------------------------------------------------
def with_mode(path: Path, mode: int, make: Callable[[Path], object]) -> Path:
    make(path)
    path.chmod(mode)
    return path


def test_settings_that_this_user_alone_may_read_are_found(tmp_path: Path) -> None:
    with_mode(tmp_path / "hosts", 0o644, Path.touch)
    (tmp_path / "link").symlink_to("private.env")
    env = with_mode(tmp_path / "private.env", 0o600, Path.touch)
    keys = with_mode(tmp_path / "keys", 0o750, Path.mkdir)
    (keys / "key").touch()
    below = with_mode(tmp_path / "conveyor", 0o755, Path.mkdir)
    deep = with_mode(below / "runner.env", 0o640, Path.touch)
    assert sorted(private_settings(str(tmp_path))) == sorted(map(str, (env, keys, deep)))


def test_a_file_among_the_settings_of_the_system_can_be_hidden(sandboxed: Lab) -> None:
    readable = [each for each in Path("/etc").iterdir() if each.is_file() and not each.is_symlink()]
    chosen = next(each for each in readable if each.stat().st_size and os.access(each, os.R_OK))
    isolation = dataclasses.replace(sandboxed.isolation, hidden=(str(chosen),))
    sandboxed.run(f"cat {chosen} || :", isolation=isolation, language="sh")
    assert sandboxed.reporter.text("stdout") == ""
