"""The programs of one attempt as stages: who runs them, where, behind which walls."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Mapping
from pathlib import PurePosixPath

from runners.executor.checkout import GIT_CONFIG, SCRIPT, checkout_environment
from runners.executor.environment import base_environment, job_environment
from runners.executor.sandbox import WRAPPERS, bubblewrap_argv, view
from runners.executor.scripts import PROGRAMS, Program, main_program, post_run_program
from runners.executor.shapes import Checkout, JobAssignment
from runners.executor.workspace import OURS_TOO, Workspace
from runners.supervisor.stage import Stage

# For jobs of a user without a limit of its own; the machine has room for some such jobs.
_MOST_PROCESSES = 16384


class SetupError(Exception):
    """The attempt cannot be prepared; the sentence is for the job's log."""


class StagePlan:
    """Writes the files of an attempt into its workspace and describes its stages.

    ``accounts`` is the folder of the files that name the job's user, "" if there is none.
    The constructor raises SetupError for what the runner lacks, ValueError for an assignment that
    contradicts itself.
    """

    def __init__(self, assignment: JobAssignment, workspace: Workspace, accounts: str) -> None:
        _check_isolation(assignment)
        self._assignment = assignment
        self._accounts = accounts
        self._workspace = workspace
        self._shell = _find(PROGRAMS[assignment.shell], assignment)
        self._environment = job_environment(assignment, workspace, self._write_secrets())
        self._main = self._write(
            main_program(
                assignment.shell,
                assignment.script,
                assignment.outputs,
                folder=workspace.folder(OURS_TOO),
            )
        )
        # Now, since the commands may leave no room for it.
        self._post_run = self._write_post_run()

    def checkout(self, checkout: Checkout) -> Stage:
        """Return the stage that fills the workspace; raise SetupError without git."""
        assignment, workspace = self._assignment, self._workspace
        _find("git", assignment)
        config = workspace.write("gitconfig", GIT_CONFIG.encode())
        script = workspace.write("checkout", SCRIPT.encode())
        return self._stage(
            (_find("sh", assignment), script),
            {
                **base_environment(assignment, workspace),
                **checkout_environment(checkout, config),
            },
            folder=workspace.folder("workspace"),
            timeout_s=assignment.timing.checkout_s,
            groups=() if checkout.group is None else (checkout.group,),
            readable=(checkout.mirror_path,),
        )

    def main(self) -> Stage:
        """Return the stage of pre-run and commands."""
        return self._stage(
            self._main,
            self._environment,
            folder=self._working_directory(),
            timeout_s=self._assignment.timeout_s,
        )

    def post_run(self, status: str) -> Stage:
        """Return the stage of post-run, which is told how the commands ended."""
        assignment = self._assignment
        return self._stage(
            self._post_run,
            {**self._environment, "CONVEYOR_STATUS": status},
            folder=self._working_directory(),
            timeout_s=assignment.post_run_timeout_s,
        )

    def _write_post_run(self) -> tuple[str, ...]:
        assignment = self._assignment
        if not assignment.post_run.strip():
            return ()
        return self._write(post_run_program(assignment.shell, assignment.post_run))

    def _write(self, program: Program) -> tuple[str, ...]:
        """Write the files of a program and return the command that runs it."""
        paths = [self._workspace.write(file.name, file.text.encode()) for file in program.files]
        return (self._shell, *program.arguments, paths[0])

    def _write_secrets(self) -> dict[str, str]:
        return {
            file.variable: self._workspace.write(
                f"secret-{file.name}", file.content, mode=file.mode
            )
            for file in self._assignment.secret_files
        }

    def _working_directory(self) -> str:
        folder = self._workspace.folder("workspace")
        inside = self._assignment.working_directory
        if inside is None:
            return folder
        path = PurePosixPath(inside)
        if path.is_absolute() or ".." in path.parts:
            raise SetupError(f"The working-directory {inside} does not lie in the workspace.")
        return f"{folder}/{path}"

    def _stage(
        self,
        argv: tuple[str, ...],
        environment: Mapping[str, str],
        *,
        folder: str,
        timeout_s: float,
        groups: tuple[int, ...] = (),
        readable: tuple[str, ...] = (),
    ) -> Stage:
        assignment = self._assignment
        isolation = assignment.isolation
        guarded = isolation.level != "none"
        stage = Stage(
            argv=argv,
            environment=environment,
            folder=folder,
            timeout_s=timeout_s,
            grace_s=assignment.timing.grace_s,
            uid=isolation.uid,
            gid=isolation.gid,
            groups=groups,
            uid_is_own=isolation.uid is not None,
            no_new_privileges=guarded,
            limits=_limits(assignment),
        )
        if isolation.level != "sandbox":
            return stage._replace(accounts=self._accounts)
        mounts = view(
            isolation,
            work_dir=assignment.work_dir,
            own=str(self._workspace.path),
            accounts=self._accounts,
            readable=readable,
        )
        if isolation.bubblewrap is not None:
            wrapped = bubblewrap_argv(isolation.bubblewrap, mounts, argv, folder=folder)
            # Bubblewrap itself starts outside of the sandbox.
            outside = f"{self._workspace.path}{folder.removeprefix(self._workspace.seen)}"
            return stage._replace(argv=wrapped, wrappers=WRAPPERS, folder=outside)
        return stage._replace(mounts=mounts, wrappers=WRAPPERS)


def _check_isolation(assignment: JobAssignment) -> None:
    isolation = assignment.isolation
    if isolation.level == "uid" and isolation.uid is None:
        raise ValueError("isolation level uid needs the slot's user for jobs")
    root = isolation.uid == 0 or (isolation.uid is None and os.geteuid() == 0)
    if root and isolation.level != "none":
        raise ValueError(f"isolation level {isolation.level} never runs a job as root")
    if isolation.uid is not None and isolation.uid == os.geteuid():
        raise ValueError("the user for jobs cannot be the runner's own")


def _limits(assignment: JobAssignment) -> dict[str, int]:
    limits = assignment.limits
    if assignment.isolation.uid is None:
        # The kernel counts all processes of the runner's user, which must be left some.
        processes: int | None = _half_of_the_processes()
    else:
        processes = limits.processes
    wanted = {
        "processes": processes,
        "open_files": limits.open_files,
        "file_bytes": limits.file_bytes,
        "core_bytes": 0,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _half_of_the_processes() -> int:
    """Return half of the processes that this user may have; of endless ones, a great many."""
    own = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    return _MOST_PROCESSES if own == resource.RLIM_INFINITY else own // 2


def _find(program: str, assignment: JobAssignment) -> str:
    found = shutil.which(program, path=assignment.path)
    if found is None:
        raise SetupError(
            f"There is no {program} on the job PATH of this runner ({assignment.path}). Install it "
            "there, set the fleet's job PATH, or use another queue."
        )
    return found
