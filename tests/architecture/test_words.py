"""Plain words: one meaning for each name, short sentences, and no private vocabulary."""

from __future__ import annotations

import subprocess

import pytest

from tests.architecture.sentences import MOST_CLAUSES, sentences
from tests.architecture.tree import ROOT, document
from tests.architecture.words import LIST, duplicate_classes, not_plain

#: Names that Django or pytest give a meaning in each module, and twins that may only become fewer.
_SHARED_BY_CONVENTION = {"Command"}
_TWINS = {
    "Candidate", "Checkout", "Finished", "GitFailedError", "Hint", "LogChunk", "Look", "Message",
    "Orders", "Place", "Script", "SetupError", "Supply",
}  # fmt: skip
_LINE = 100


def test_only_listed_modules_have_private_words() -> None:
    listed = LIST.read_text(encoding="utf-8").split()
    assert sorted(set(not_plain()) - set(listed)) == []


def test_list_of_modules_with_private_words_has_no_plain_one() -> None:
    listed = LIST.read_text(encoding="utf-8").split()
    assert sorted(set(listed) - set(not_plain())) == []


def test_class_names_are_unique() -> None:
    found = set(duplicate_classes()) - _SHARED_BY_CONVENTION
    assert sorted(found - _TWINS) == []
    assert sorted(_TWINS - found) == []


def test_sentences_have_at_most_two_clauses() -> None:
    long = [f"{each.path}:{each.line} {each.text}" for each in sentences()]
    clauses = [each.clauses for each in sentences()]
    assert [line for line, count in zip(long, clauses, strict=True) if count > MOST_CLAUSES] == []


def markdown() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    return listed.stdout.split()


@pytest.mark.parametrize("name", markdown())
def test_lines_of_documents_are_short(name: str) -> None:
    """A row of a table is one line by the rules of Markdown, so it may be longer."""
    lines = enumerate(document(name).splitlines(), start=1)
    long = [number for number, line in lines if len(line) > _LINE and not line.startswith("|")]
    assert long == [], f"{name}: lines {long} have more than {_LINE} characters."
