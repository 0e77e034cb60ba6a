"""The manual and the schema on disk say what the parser does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from belts.spec import parse_belt_text
from belts.spec.codes import CODES
from belts.spec.keys import BELT, DEFAULTS, FILE, INPUT, JOB, OUTPUT, RETRY, TRIGGER
from belts.spec.kinds import Record
from belts.spec.schema import json_schema

DOCS = Path(__file__).resolve().parents[3] / "docs"
MANUAL = (DOCS / "belt-file.md").read_text()


def test_the_published_schema_is_the_parsers() -> None:
    published = json.loads((DOCS / "conveyor.schema.json").read_text())
    assert published == json_schema(), (
        "Write it anew: python -m belts.spec.schema > docs/conveyor.schema.json"
    )


def test_the_manual_lists_every_problem_code_and_no_other() -> None:
    listed = re.findall(r"^\| `([a-z]+\.[a-z0-9-]+)` \| (.*) \|$", MANUAL, re.MULTILINE)
    assert dict(listed) == CODES


def test_the_manual_has_every_key() -> None:
    assert isinstance(RETRY.other, Record)
    records = [FILE, BELT, DEFAULTS, JOB, INPUT.record, OUTPUT.record, RETRY.other]
    records += [record for _, record in TRIGGER.markers]
    names = {key.name for record in records for key in record.keys}
    names |= {marker for marker, _ in TRIGGER.markers}
    missing = [name for name in sorted(names) if f"`{name}`" not in MANUAL]
    assert missing == []


def test_every_example_of_the_documents_is_a_file_without_problems() -> None:
    documents = [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md"))]
    examples = [
        (document.name, example)
        for document in documents
        for example in re.findall(r"```yaml\n(.*?)```", document.read_text(), re.DOTALL)
    ]
    assert {name for name, _ in examples} >= {"README.md", "belt-file.md"}
    broken = [(name, parse_belt_text(example).problems) for name, example in examples]
    assert [each for each in broken if each[1]] == []
