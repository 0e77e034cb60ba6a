"""The environment of a job, built from nothing."""

from __future__ import annotations

from collections.abc import Mapping

from runners.executor.accounts import user_name
from runners.executor.outputs import FILE
from runners.executor.sandbox import TMP
from runners.executor.shapes import JobAssignment
from runners.executor.workspace import OURS_TOO, Workspace


def base_environment(assignment: JobAssignment, workspace: Workspace) -> dict[str, str]:
    """Return what every stage gets and nobody may override: folders, PATH, the attempt's cookie."""
    user = user_name(assignment.isolation.uid)
    return {
        "PATH": assignment.path,
        "HOME": workspace.folder("home"),
        "TMPDIR": TMP if assignment.isolation.level == "sandbox" else workspace.folder("tmp"),
        "USER": user,
        "LOGNAME": user,
        "CI": "true",
        "CONVEYOR": "true",
        "CONVEYOR_ATTEMPT": assignment.attempt_id,
        "CONVEYOR_WORKSPACE": workspace.folder("workspace"),
    }


def job_environment(
    assignment: JobAssignment, workspace: Workspace, secret_paths: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of the job's own scripts.

    In rising order of strength: defaults, what the author set (with the values of references),
    {variable: path} of secret files, facts of the run, what the platform fixes.
    """
    facts = {f"CONVEYOR_{key.upper()}": value for key, value in assignment.facts.items()}
    return {
        **_locale(assignment.environment),
        "SHELL": "/bin/sh",
        **assignment.environment,
        **secret_paths,
        **facts,
        **base_environment(assignment, workspace),
        "CONVEYOR_OUTPUT": f"{workspace.folder(OURS_TOO)}/{FILE}",
    }


def _locale(chosen: Mapping[str, str]) -> dict[str, str]:
    """Return what makes text UTF-8 unless the author chose a locale; all else of it is C's.

    LANG would mean the same, and make each program that heeds it read twelve files more.
    """
    if any(name == "LANG" or name.startswith("LC_") for name in chosen):
        return {}
    return {"LC_CTYPE": "C.UTF-8"}
