"""The result of an import, as text for people and as JSON for programs."""

from __future__ import annotations

from typing import Any

from belts.importing import ImportOutcome
from belts.spec.names import visible
from belts.spec.problems import render_text, to_json
from products.git.logins import shown


def to_text(outcome: ImportOutcome, *, check: bool) -> tuple[str, str]:
    """Return what changed and what is wrong, each as lines; either may be empty.

    Problems show the offending line of the file.
    """
    return _report(outcome, check=check), _complaint(outcome)


def _report(outcome: ImportOutcome, *, check: bool) -> str:
    if outcome.failed or outcome.file is None:
        return ""
    changes, name = outcome.changes, outcome.file.product
    if changes is None:
        return f"{name}: no errors"
    if not changes:
        return f"{name}: nothing changed"
    lines = [f"{name}: {'would be imported' if check else 'imported'}"]
    marked = (("+", changes.created), ("~", changes.changed), ("-", changes.removed))
    lines += [f"  {mark} {visible(entry)}" for mark, entries in marked for entry in entries]
    return "\n".join(lines)


def _complaint(outcome: ImportOutcome) -> str:
    parts = []
    if outcome.read is not None and outcome.problems:
        rendered = render_text(outcome.problems, outcome.read.data, outcome.read.file_name)
        parts.append(rendered.rstrip("\n"))
    if outcome.error is not None:
        error = outcome.error
        parts.append(
            f"{visible(shown(outcome.label))}: error: {visible(str(error))} [{error.code}]"
        )
    return "\n\n".join(parts)


def to_document(outcome: ImportOutcome) -> dict[str, Any]:
    """Return the same as plain data: one entry of ``sources`` in the JSON that is printed."""
    changes, error = outcome.changes, outcome.error
    done = changes if changes is not None and not outcome.failed else None
    return {
        "source": shown(outcome.label),
        "product": (outcome.draft.product or None) if outcome.draft else None,
        "commit": (outcome.read.commit or None) if outcome.read else None,
        "ok": not outcome.failed,
        "created": done.created if done else [],
        "changed": done.changed if done else [],
        "removed": done.removed if done else [],
        "problems": to_json(outcome.problems, outcome.read.data if outcome.read else b""),
        "error": {"code": error.code, "message": str(error)} if error else None,
    }
