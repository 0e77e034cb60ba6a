"""Workspaces are private, fresh, and removed whatever is in them."""

from __future__ import annotations

import os
import stat
import subprocess
import uuid
from pathlib import Path

import pytest

from runners.executor.removal import remove_tree
from runners.executor.workspace import WorkDirError, Workspace, prepare_work_dir, sweep
from runners.executor.zygote import ZygoteProcess
from runners.process.places import own_place
from tests.runners.executor.attempts import Lab, isolation_of

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def remove(path: Path) -> None:
    parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        remove_tree(parent, path.name)
    finally:
        os.close(parent)


def as_nobody(code: str, folder: Path) -> None:
    """Run Python code as another user, whom the kernel obeys permissions for."""
    subprocess.run(
        ["/usr/bin/python3", "-I", "-c", code, str(folder)],
        check=True,
        user=65534,
        group=65534,
        extra_groups=[],
    )


def test_every_attempt_has_a_fresh_private_workspace(lab_of_each_level: Lab) -> None:
    lab = lab_of_each_level
    script = (
        'stat -c "%a" . "$HOME" "$TMPDIR"; ls -A . "$HOME"; echo x > "$HOME/mark"; echo x > mark'
    )
    first = lab.run(script)
    shown = lab.reporter.text("stdout")
    lab.reporter.chunks.clear()
    second = lab.run(script)
    assert (first.outcome, second.outcome) == ("succeeded", "succeeded")
    assert shown.split()[:3] == ["755", "700", "700"]
    assert "mark" not in lab.reporter.text("stdout")


def test_folder_of_an_attempt_is_closed_to_others(work_dir: Path) -> None:
    workspace = Workspace(work_dir, str(uuid.uuid4()), uid=None, gid=None)
    assert stat.S_IMODE(workspace.path.stat().st_mode) == 0o700
    workspace.remove()


def test_a_workspace_of_any_shape_is_removed(lab: Lab) -> None:
    script = (
        "mkdir -p a/b/c ro; echo x > a/b/c/f; chmod 000 a/b/c a/b; chmod 000 a; echo x > ro/f;"
        " chmod 500 ro; ln -s / root; ln -s .. up; mkfifo pipe; touch -- -rf $'new\\nline';"
        ' ln -s /etc/passwd "$HOME/link"; chmod 000 "$HOME" "$PWD" "${HOME%/*}"'
    )
    assert lab.run(script).outcome == "succeeded"
    assert list(lab.work_dir.iterdir()) == []
    assert Path("/etc/passwd").exists()


@pytest.mark.parametrize(
    "mischief",
    [
        "rm -r ../job; ln -s {kept} ../job",
        "mv ../job ../workspace/kept; ln -s {kept} ../job",
        "rm ../job/commands; mkdir ../job/commands ../job/commands/x",
        "rm ../job/commands; ln -s {kept}/file ../job/commands",
        "mv ../job ../home/; touch ../job",
        "rmdir ../tmp; mkdir ../more; touch ../more/file",
        "chmod 0 ../job ../home .. ; chmod 0 .",
    ],
)
def test_what_takes_the_place_of_our_own_is_removed_and_nothing_else(
    lab: Lab, folder: Path, mischief: str
) -> None:
    kept = folder / "kept"
    kept.mkdir(mode=0o777)
    for name in ("file", "commands"):
        (kept / name).write_text("kept")
    lab.run(mischief.format(kept=kept))
    assert list(lab.work_dir.iterdir()) == []
    assert sorted(path.name for path in kept.iterdir()) == ["commands", "file"]


def test_removal_follows_no_symlink(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("kept")
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "link").symlink_to(outside)
    (tree / "deep" / "link").symlink_to(outside / "file")
    (tmp_path / "top-link").symlink_to(outside)
    remove(tree)
    remove(tmp_path / "top-link")
    remove(tmp_path / "never-there")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside"]
    assert (outside / "file").read_text() == "kept"


def test_folders_deeper_than_any_limit_are_removed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    here = os.open(tree, os.O_RDONLY)
    for _level in range(3000):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    remove(tree)
    assert not tree.exists()


@needs_root
def test_an_ordinary_user_removes_what_it_made_unwritable(tmp_path: Path) -> None:
    folder = Path("/tmp") / f"conveyor-test-{uuid.uuid4()}"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    source = Path(__file__).resolve().parents[3] / "runners/executor/removal.py"
    code = (
        "import os, sys\n"
        f"{source.read_text().replace('from __future__ import annotations', '')}\n"
        "top = os.open(sys.argv[1], os.O_RDONLY)\n"
        "os.makedirs(sys.argv[1] + '/t/' + '/'.join('d' * 80))\n"
        "os.makedirs(sys.argv[1] + '/t/u/v')\n"
        "for base, _, _ in os.walk(sys.argv[1] + '/t', topdown=False): os.chmod(base, 0)\n"
        "remove_tree(top, 't')\n"
    )
    try:
        as_nobody(code, folder)
        assert list(folder.iterdir()) == []
    finally:
        remove(folder)


@needs_root
def test_nobody_who_holds_a_folder_open_puts_anything_into_it_while_it_is_removed(
    folder: Path,
) -> None:
    tree = folder / "tree"
    (tree / "shared" / "below").mkdir(parents=True)
    for each in (tree / "shared" / "below" / "file", tree / "file"):
        each.touch()
    for each in (tree, tree / "shared"):
        each.chmod(0o777)
    held = [os.open(each, os.O_RDONLY) for each in (tree, tree / "shared")]
    put: list[int] = []

    def try_to_put() -> None:
        code = "import os, sys\nfor each in sys.argv[1:]: os.symlink('/', 'more', dir_fd=int(each))"
        done = subprocess.run(
            ["/usr/bin/python3", "-I", "-c", code, *map(str, held)],
            check=False,
            stderr=subprocess.DEVNULL,
            pass_fds=held,
            user=65534,
            group=65534,
            extra_groups=[],
        )
        put.append(done.returncode)

    parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    remove_tree(parent, "tree", alive=try_to_put)
    for descriptor in (parent, *held):
        os.close(descriptor)
    assert not tree.exists()
    assert set(put) == {1}


@needs_root
def test_removal_changes_no_permissions_of_what_is_mounted(tmp_path: Path) -> None:
    mounted = tmp_path / "tree" / "mounted"
    mounted.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", str(mounted)], check=True)
    try:
        (mounted / "file").touch()
        with pytest.raises(OSError, match="mounted is a mount point"):
            remove(tmp_path / "tree")
        assert mounted.stat().st_mode & 0o777 == 0o755
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


@needs_root
def test_removal_stops_at_a_mount(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    mounted = tree / "mounted"
    mounted.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(mounted)], check=True)
    try:
        (mounted / "file").write_text("kept")
        with pytest.raises(OSError, match="mounted is a mount point"):
            remove(tree)
        assert (mounted / "file").read_text() == "kept"
    finally:
        subprocess.run(["umount", str(mounted)], check=True)
    remove(tree)


def test_the_sweep_leaves_what_is_no_attempts_and_what_is_kept(work_dir: Path) -> None:
    kept, left = str(uuid.uuid4()), str(uuid.uuid4())
    for name in (kept, left):
        Workspace(work_dir, name, uid=None, gid=None).write("file", b"x")
    (work_dir / "mirrors").mkdir()
    (work_dir / str(uuid.uuid4())).symlink_to(work_dir / "mirrors")
    assert sweep(work_dir, keep=[kept]) == [left]
    assert not (work_dir / left).exists()
    assert (work_dir / kept).exists()
    assert (work_dir / "mirrors").exists()


def test_names_that_are_no_attempts_make_no_folder(work_dir: Path) -> None:
    for name in ("../x", "x", "", str(uuid.uuid4()) + "/x"):
        with pytest.raises(ValueError, match="no UUID"):
            Workspace(work_dir, name, uid=None, gid=None)


def test_a_work_folder_below_a_private_home_is_refused_for_other_users(tmp_path: Path) -> None:
    private = tmp_path / "home"
    private.mkdir(mode=0o700)
    with pytest.raises(WorkDirError, match="Set CONVEYOR_WORK_DIR"):
        prepare_work_dir(private / "work", other_users=True)
    prepare_work_dir(private / "work", other_users=False)


SOCKETS = """\
import multiprocessing, os, socket, tempfile
for folder in (os.environ["HOME"], tempfile.gettempdir()):
    path = f"{folder}/.gnupg-and-a-long-name/S.gpg-agent.extra"
    os.makedirs(os.path.dirname(path))
    socket.socket(socket.AF_UNIX).bind(path)
with multiprocessing.Manager() as manager:
    print(manager.dict(a=1))
"""


@pytest.mark.parametrize("level", ["sandbox-bubblewrap", "sandbox-namespaces"])
def test_sandbox_paths_are_short_enough_for_sockets(
    level: str, work_dir: Path, zygote: ZygoteProcess
) -> None:
    isolation = isolation_of(level)
    if isolation is None:
        pytest.skip(f"this machine or user cannot isolate by {level}")
    named = work_dir / "a-runner-with-a-very-long-name-03.build.example.org" / "and-more-of-it"
    prepare_work_dir(named, other_users=os.geteuid() == 0)
    named.parent.chmod(0o711)
    lab = Lab(named, zygote.client(), isolation)
    result = lab.run(f"python3 - <<'END'\n{SOCKETS}END\necho $TMPDIR")
    assert (result.outcome, lab.reporter.text("stdout")) == ("succeeded", "{'a': 1}\n/tmp\n")
    assert list(named.iterdir()) == []


def test_runner_with_a_long_name_gives_jobs_short_paths(lab_of_each_level: Lab) -> None:
    lab = lab_of_each_level
    lab.work_dir = own_place(lab.work_dir, "a-runner-with-a-very-long-name-03.build.example.org")
    prepare_work_dir(lab.work_dir, other_users=os.geteuid() == 0)
    sockets = SOCKETS.replace("-and-a-long-name", "")
    result = lab.run(f"python3 - <<'END'\n{sockets}END")
    assert (result.outcome, lab.reporter.text("stdout")) == ("succeeded", "{'a': 1}\n")
