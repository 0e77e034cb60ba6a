"""Each row of docs/jobs.md holds at each level of isolation."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from products.git.mirror import ensure_commit
from runners.executor.shapes import Checkout, OutputWord
from tests.products.repositories import Repository
from tests.runners.executor.attempts import Lab

PAGE = Path(__file__).parents[3] / "docs" / "jobs.md"
EMPTY = 'test -z "$(ls -A "{0}")" && echo held'
IN_SANDBOX = 'case "$CONVEYOR_WORKSPACE" in /conveyor-job/*) test "$TMPDIR" = /tmp;; esac'

# Subjects of the page with commands that write "held" and nothing else where it is so.
ROWS = {
    "Shell": 'case "$-" in *e*) shopt -qo pipefail && echo held;; esac',
    "Workspace": 'test "$PWD" = "$CONVEYOR_WORKSPACE" && echo held',
    "`HOME`": EMPTY.format("$HOME"),
    "`TMPDIR`": f'{IN_SANDBOX}\ntest -z "$(find "$TMPDIR" -type f)" && echo held',
    "User": 'test "$USER" = "$LOGNAME" && test -n "$USER" && echo held',
    "Environment": 'test -z "${CONVEYOR_KEYS-}${VIRTUAL_ENV-}${PYTEST_CURRENT_TEST-}" && echo held',
    "`CI`, `CONVEYOR`": 'test "$CI$CONVEYOR" = truetrue && echo held',
    "Standard input": 'test -z "$(cat)" && echo held',
    "Umask": 'test "$(umask) $(stat -c %a .gitmodules)" = "0022 644" && echo held',
    "`/dev/stdout`, `/dev/stderr`": "echo held > /dev/stdout; echo warning > /dev/stderr",
    "Network": "python3 -c 'import socket; socket.socket().bind((\"127.0.0.1\", 0))' && echo held",
    "Commit": 'test "$(git log --format=%s | wc -l)" = 2; git symbolic-ref -q HEAD || echo held',
    "Tags": 'test "$(git describe)" = v1 && echo held',
    "`CONVEYOR_TAG`": 'test "$(git describe --tags)" = "$CONVEYOR_TAG" && echo held',
    "Remotes": 'test -z "$(git remote)" && echo held',
    "Submodules, Git LFS": "test ! -e module && echo held",
    "Outputs": 'A=1; echo B=2 >> "$CONVEYOR_OUTPUT"; echo held',
    "Time limit": "trap 'echo held; exit' TERM; sleep 60 & wait",
    "Afterwards": "touch left; sleep 60 >/dev/null 2>&1 & echo held",
}


@pytest.fixture
def checkout(work_dir: Path) -> Iterator[Checkout]:
    repository = Repository(work_dir / "source")
    repository.commit("one")
    commit = repository.commit('[submodule "s"]\n\tpath = module\n', path=".gitmodules")
    repository.git("tag", "-m", "v1", "v1")
    mirror = ensure_commit(work_dir / "mirrors", repository.url, commit)
    mirror.parent.chmod(0o755)
    mirror.chmod(0o755)
    yield Checkout(str(mirror), commit, tag="v1")
    shutil.rmtree(work_dir / "source")
    shutil.rmtree(work_dir / "mirrors")


def test_each_row_of_page_is_tested() -> None:
    subjects = re.findall(r"^\| (.+?) \| .+ \|$", PAGE.read_text(), re.MULTILINE)
    assert subjects[1:] == list(ROWS)


@pytest.mark.parametrize("subject", ROWS)
def test_promise_holds(lab_of_each_level: Lab, checkout: Checkout, subject: str) -> None:
    lab = lab_of_each_level
    before = sorted(lab.work_dir.iterdir())
    result = lab.run(
        ROWS[subject],
        checkout=checkout,
        facts={"TAG": "v1"},
        outputs=(OutputWord("A"), OutputWord("B")) if subject == "Outputs" else (),
        timeout_s=2.0 if subject == "Time limit" else 30.0,
    )
    assert lab.reporter.text("stdout") == "held\n"
    assert result.reason == ("timed-out" if subject == "Time limit" else "")
    assert dict(result.outputs) == ({"A": "1", "B": "2"} if subject == "Outputs" else {})
    assert sorted(lab.work_dir.iterdir()) == before
