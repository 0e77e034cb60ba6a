"""From plain values to the shapes, with the checks that need no other place of the file."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from cronsim import CronSim, CronSimError

from belts.spec.limits import POST_RUN_DEFAULT_S
from belts.spec.names import (
    RESERVED_NAMES,
    is_reserved_variable,
    nearest,
    quoted,
    variable_of_credential,
)
from belts.spec.places import has_reference
from belts.spec.read import Reader
from belts.spec.read_words import NOTHING
from belts.spec.references import PATTERN
from belts.spec.shapes import (
    RETRIED,
    SUCCESS,
    BeltFile,
    BeltSpec,
    DownstreamSpec,
    InputSpec,
    JobSpec,
    OutputSpec,
    RetrySpec,
    TriggerSpec,
)
from belts.spec.shell_scan import ShellScan

Values = dict[str, Any]


@functools.cache
def iana_zones() -> frozenset[str]:
    """Return the names of IANA; a system may have others, such as localtime, of its own meaning."""
    listed = importlib.resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8")
    return frozenset(listed.split())


_EMPTY = "The commands are empty."


class Builder:
    """Builds the shapes from what a reader has read, reporting to that reader."""

    def __init__(self, reader: Reader) -> None:
        """Take the reader, which has the marks and collects the problems."""
        self.reader = reader
        self.product = ""
        self.gaps: set[str] = set()

    def file(self, values: Values) -> BeltFile:
        """Return the file; parts that cannot be used are missing in it."""
        self.product = values.get("product", "")
        self._reserved_name("product", self.product)
        belts = _records(values.get("belts"))
        self._unique([(f"belts[{index}]", each) for index, each in belts])
        self._note_gap("", "belts", belts)
        triggers = [
            self._trigger(each, f"triggers[{index}]")
            for index, each in _records(values.get("triggers"))
        ]
        return BeltFile(
            self.product,
            values.get("description", ""),
            values.get("source"),
            tuple(triggers),
            tuple(self._belt(each, f"belts[{index}]") for index, each in belts),
            self.reader.marks,
            frozenset(self.gaps),
        )

    # Triggers

    def _trigger(self, values: Values, path: str) -> TriggerSpec:
        kind = values.get("kind", "")
        cron, timezone = values.get("cron"), values.get("timezone")
        if cron is not None:
            self._check_cron(cron, f"{path}.cron")
        if timezone is not None:
            self._check_timezone(timezone, f"{path}.timezone")
        mark = self.reader.marks.get(path)
        return TriggerSpec(
            kind,
            _names(values, "belts"),
            repo=values.get("repo"),
            types=tuple(sorted(_names(values, "type"))),
            branches=tuple(sorted(_names(values, "branches"))),
            upstream_product=values.get("upstream-product"),
            upstream_belt=values.get("upstream-belt"),
            build=values.get("build"),
            on=_ends(values) if kind == "upstream-build" else (),
            cron=cron,
            timezone=timezone or "UTC" if kind == "schedule" else None,
            line=mark.line if mark else None,
        )

    def _check_cron(self, cron: str, path: str) -> None:
        reason = None
        if len(cron.split()) != 5:
            reason = "it needs five fields: minute, hour, day, month and weekday"
        else:
            try:
                next(CronSim(cron, datetime(2024, 1, 1, tzinfo=UTC)))
            except CronSimError as error:
                reason = str(error).lower()
            except (StopIteration, ValueError, OverflowError):
                reason = "no time matches it"
        if reason is not None:
            message = f"The cron expression {quoted(cron)} is wrong: {reason}."
            self.reader.report("trigger.bad-cron", path, message, "Example: 30 3 * * MON-FRI")

    def _check_timezone(self, name: str, path: str) -> None:
        names = iana_zones()
        if name in names:
            return
        near = nearest(name, names)
        hint = f"Did you mean {quoted(near)}?" if near else "Example: Europe/Berlin"
        message = f"{quoted(name)} is not the name of a time zone of IANA."
        self.reader.report("trigger.bad-timezone", path, message, hint)

    # Belts and jobs

    def _belt(self, values: Values, path: str) -> BeltSpec:
        env = values.get("env", {})
        self._check_env(env, f"{path}.env")
        defaults = dict(values.get("defaults", {}))
        self._check_env(defaults.get("env", {}), f"{path}.defaults.env")
        defaults["env"] = {**env, **defaults.get("env", {})}
        jobs = _records(values.get("jobs"))
        self._unique([(f"{path}.jobs[{index}]", each) for index, each in jobs])
        self._note_gap(path, f"{path}.jobs", jobs)
        return BeltSpec(
            values.get("name", ""),
            values.get("description", ""),
            env,
            tuple(
                self._job(each, defaults, values, f"{path}.jobs[{index}]") for index, each in jobs
            ),
            self._downstreams(values),
        )

    def _job(self, values: Values, defaults: Values, belt: Values, path: str) -> JobSpec:
        self._reserved_name(f"{path}.name", values.get("name", ""))
        self._check_env(values.get("env", {}), f"{path}.env")
        if not values.get("commands", "x").strip():
            self.reader.report("job.no-commands", f"{path}.commands", _EMPTY, "Write a command.")
        merged = {**defaults, **values, "env": {**defaults["env"], **values.get("env", {})}}
        shell = merged.get("shell", "bash")
        self._check_credentials(merged, path)
        self._check_directory(merged, path)
        return JobSpec(
            name=values.get("name", ""),
            inputs=self._inputs(values, belt, f"{path}.inputs"),
            queue=merged.get("queue"),
            env=merged["env"],
            credentials=tuple(sorted(_names(merged, "credentials"))),
            shell=shell,
            working_directory=merged.get("working-directory"),
            pre_run=values.get("pre-run", ""),
            commands=values.get("commands", ""),
            post_run=values.get("post-run", ""),
            outputs=self._outputs(values, shell, path),
            downstreams=self._downstreams(values),
            timeout_s=merged.get("timeout"),
            post_run_timeout_s=merged.get("post-run-timeout", POST_RUN_DEFAULT_S),
            retry=_retry(merged.get("retry", 0)),
        )

    def _check_env(self, env: Mapping[str, str], path: str) -> None:
        for name in env:
            self._reserved_variable(name, f"{path}.{name}")

    def _check_credentials(self, merged: Values, path: str) -> None:
        for index, name in enumerate(merged.get("credentials", ())):
            if name is not NOTHING:
                entry_path = f"{path}.credentials[{index}]"
                self._reserved_variable(variable_of_credential(name), entry_path)
                # Their order is lost in the shapes; who looks them up names them.
                if entry_path in self.reader.marks:
                    self.reader.marks[f"{path}.credentials.{name}"] = self.reader.marks[entry_path]

    def _check_directory(self, merged: Values, path: str) -> None:
        directory = merged.get("working-directory")
        if directory is None:
            return
        entry_path = f"{path}.working-directory"
        if has_reference(directory):
            fix = "Write `cd` into the commands."
            self._misplaced(entry_path, "a working directory", fix)
        elif directory.startswith(("/", "~")) or ".." in directory.split("/"):
            message = f"The working directory {quoted(directory)} is outside of the workspace."
            self.reader.report(
                "job.bad-directory",
                entry_path,
                message,
                "Write a path below the workspace, without `..`.",
            )

    def _inputs(self, values: Values, belt: Values, path: str) -> tuple[InputSpec, ...]:
        jobs = {each.get("name") for each in belt.get("jobs", ()) if isinstance(each, dict)}
        found: list[InputSpec] = []
        for index, entry in enumerate(values.get("inputs", ())):
            chosen = {"from": entry} if isinstance(entry, str) else entry
            if chosen is NOTHING or "from" not in chosen:
                found.append(InputSpec("unusable", product=f"-{index}"))
                continue
            spec = self._input(chosen, jobs, str(belt.get("name")))
            entry_path = f"{path}[{index}]"
            if spec.kind != "product" and (spec.build is not None or spec.branch is not None):
                message = f"{quoted(spec.name)} is part of this run, so no other run can be chosen."
                hint = "Remove `build` and `branch`."
                self.reader.report("input.own-belt", entry_path, message, hint)
            elif any(each.name == spec.name for each in found):
                message = f"The list has the input {quoted(spec.name)} twice."
                self.reader.report("value.duplicate", entry_path, message, "Remove one of them.")
            found.append(spec)
        return tuple(found)

    def _input(self, chosen: Values, jobs: set[Any], belt: str) -> InputSpec:
        parts = chosen["from"].split(".")
        build, branch = chosen.get("build"), chosen.get("branch")
        if parts == ["source"]:
            return InputSpec("source", build=build, branch=branch)
        if len(parts) == 1 and parts[0] in jobs:
            return InputSpec("job", job=parts[0], build=build, branch=branch)
        product, belt_name, job = (*parts, None, None)[:3]
        own = product == self.product and belt_name == belt and job in jobs
        kind = "job" if own and build is None and branch is None else "product"
        return InputSpec(kind, product, belt_name, job, build, branch)

    def _outputs(self, values: Values, shell: str, job_path: str) -> tuple[OutputSpec, ...]:
        found: dict[str, OutputSpec] = {}
        specs = [_output(entry) for entry in values.get("outputs", ())]
        path = f"{job_path}.outputs"
        if path in self.reader.unread or None in specs:
            self.gaps.add(job_path)
        for index, spec in enumerate(specs):
            if spec is None:
                continue
            entry_path = f"{path}[{index}]"
            self._reserved_variable(spec.name, entry_path)
            if spec.name in found:
                message = f"The output {quoted(spec.name)} is declared twice."
                self.reader.report("name.duplicate", entry_path, message, "Remove one of them.")
            if spec.value is not None:
                self._check_output_value(spec.value, shell, entry_path)
            found[spec.name] = spec
        return tuple(found.values())

    def _check_output_value(self, value: str, shell: str, path: str) -> None:
        if shell == "python":
            self.reader.report(
                "output.needs-shell",
                path,
                "A shell expands the value of an output, but the shell of this job is python.",
                "Declare only the name, and write NAME=value to the file $CONVEYOR_OUTPUT.",
            )
            return
        scan = ShellScan(value, shell, PATTERN, within_word=True).run()
        if scan.found:
            fix = "Assign a variable in the commands, and declare only its name."
            self._misplaced(path, "the value of an output", fix)
        elif not scan.is_one_word:
            message = f"The value {quoted(value)} is not one word of the shell."
            hint = 'Quote it for the shell: NAME="two words"'
            self.reader.report("output.not-a-word", path, message, hint)

    def _downstreams(self, values: Values) -> tuple[DownstreamSpec, ...]:
        return tuple(
            DownstreamSpec(each.get("downstream-product", ""), _names(each, "belts"), _ends(each))
            for _, each in _records(values.get("downstreams"))
        )

    # Names

    def _unique(self, entries: Iterable[tuple[str, Values]]) -> None:
        seen: set[str] = set()
        for path, values in entries:
            name = values.get("name")
            if name in seen:
                message = f"The name {quoted(str(name))} is used twice."
                self.reader.report("name.duplicate", f"{path}.name", message, "Rename one of them.")
            if name is not None:
                seen.add(name)

    def _reserved_name(self, path: str, name: str) -> None:
        if name in RESERVED_NAMES:
            message = f"The name {quoted(name)} is reserved: it means the repository as an input."
            self.reader.report("name.reserved", path, message, "Choose another name.")

    def _reserved_variable(self, name: str, path: str) -> None:
        if is_reserved_variable(name):
            message = f"The variable {quoted(name)} is reserved for Conveyor."
            hint = "Choose another name. A script can still set the variable itself."
            self.reader.report("name.reserved", path, message, hint, key=True)

    def _note_gap(self, gap: str, path: str, entries: Iterable[tuple[int, Values]]) -> None:
        """Note that entries may be missing, where one has no name or the list was not read."""
        if path in self.reader.unread or any(each.get("name") is None for _, each in entries):
            self.gaps.add(gap)

    def _misplaced(self, path: str, where: str, fix: str) -> None:
        message = f"References are not replaced in {where}."
        self.reader.report("reference.misplaced", path, message, fix)


def _records(values: Any) -> list[tuple[int, Values]]:
    """Return the entries with their indexes; one that cannot be used is empty."""
    entries = values if isinstance(values, list) else ()
    return [(index, {} if each is NOTHING else each) for index, each in enumerate(entries)]


def _names(values: Values, key: str) -> tuple[Any, ...]:
    return tuple(each for each in values.get(key, ()) if each is not NOTHING)


def _ends(values: Values) -> tuple[str, ...]:
    chosen = _names(values, "on") or SUCCESS
    if "always" in chosen:
        return ("cancelled", "failure", "success")
    return tuple(sorted(chosen))


def _output(entry: Any) -> OutputSpec | None:
    if isinstance(entry, str):
        entry = {"short": entry}
    if entry is NOTHING:
        return None
    if "short" in entry:
        name, equals, value = entry["short"].partition("=")
        return OutputSpec(name, entry.get("type", "String"), value if equals else None)
    if "name" not in entry:
        return None
    return OutputSpec(entry["name"], entry.get("type", "String"), entry.get("value"))


def _retry(value: Any) -> RetrySpec:
    if isinstance(value, int):
        return RetrySpec(max=value)
    return RetrySpec(
        max=value.get("max", 0),
        on=tuple(sorted(_names(value, "on"))) or RETRIED,
        exit_codes=tuple(sorted(_names(value, "exit-codes"))),
        delay_s=value.get("delay", 0),
        backoff=value.get("backoff", 1.0),
    )
