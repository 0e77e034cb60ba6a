"""What is wrong with a text that is not YAML, in plain words, and where the cause is.

PyYAML reports where its parser gave up, in the parser's terms. Most mistakes have a few typical
forms, which the text around that place shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import yaml

from belts.spec.lines import Places, lines_of
from belts.spec.names import quoted
from belts.spec.nodes import Mark

QUOTE_IT = "Quote it, or write the commands as one text after `|`."
_INDENT_TEXT = "Indent the lines of the text more than their key:\ncommands: |\n  make test"
_CHECK = "Check the indentation, the quotes and the brackets of this line and the line above."

_BLOCK_HEADER = re.compile(r"(?:^|[:-])\s+[|>][-+0-9]*\s*(?:#.*)?$|^\s*[|>][-+0-9]*\s*$")
_NO_SPACE = re.compile(r"\s*(?:- +)*([A-Za-z][\w-]*):(?=\S)(.*)")
_FIRST_KEY = re.compile(r"\s*(?:- +)*([^\s].*?)\s*:(?:\s|$)")
# A no-break space among the blanks of the indentation, or after a key or a dash.
_NO_BREAK = re.compile(r"[ -]*(?:[\w-]+:[ ]*)?\xa0")
_COLON = re.compile(r":(?=\s|$)")
_CLOSERS = {"[": "]", "{": "}"}
_LINES_SEARCHED = 2_000
_NO_COLUMN = 1_000_000

_READ_AS = {
    "*": "reads it as an alias",
    "&": "reads it as an anchor",
    "!": "reads it as a tag",
    "%": "reads it as a directive",
    "?": "reads it as a key of several lines",
    ":": "reads it as the end of a key",
    "@": "reserves that character",
    "`": "reserves that character",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """The place of the cause, a sentence and a way out."""

    mark: Mark
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Progress:
    """What the parser had read: the places of open lists and mappings, the innermost last.

    ``quoted`` is where the last text in quotes begins and ends, None if there was none.
    """

    opened: Sequence[int] = ()
    quoted: tuple[int, int] | None = None


class _Failure:
    """An error of PyYAML with the text around it; ``at`` and ``start`` count characters."""

    def __init__(self, error: yaml.MarkedYAMLError, text: str, progress: Progress) -> None:
        problem = error.problem_mark or error.context_mark
        context = error.context_mark or problem
        self.text = text
        self.lines = lines_of(text)
        self.places = Places(text)
        self.at: int = min(problem.index, len(text)) if problem else 0
        self.start: int = min(context.index, len(text)) if context else self.at
        self.found = str(error.problem or "").rpartition("found ")[2].rpartition("got ")[2]
        self.opened = progress.opened
        self.quoted = progress.quoted

    def quote_before(self, index: int) -> int | None:
        """Return where a text of several lines in quotes begins that ends right before."""
        if self.quoted is None or self.text[self.quoted[1] : index].strip():
            return None
        lines = [self.places.mark(each).line for each in (self.quoted[0], index)]
        return self.quoted[0] if lines[0] < lines[1] else None

    def explained(self, index: int, message: str, hint: str) -> Explained:
        return Explained(self.places.mark(index), message, hint)

    def no_break_space(self) -> Explained | None:
        """Explain a no-break space among the blanks of this line or the one above, if any."""
        first = self.places.mark(self.at).line
        above = self.lines_above(self.at)[:1]
        for number in range(first, max(0, first - 1 - _LINES_SEARCHED), -1):
            line = self.lines[number - 1] if number <= len(self.lines) else ""
            if found := _NO_BREAK.match(line):
                mark = Mark(number, found.end())
                message = (
                    "The line has a no-break space (U+00A0) where YAML needs an ordinary space."
                )
                return Explained(mark, message, "Replace it with an ordinary space.")
            if [line] == above:
                break
        return None

    def line(self, index: int) -> str:
        number = self.places.mark(index).line
        return self.lines[number - 1] if number <= len(self.lines) else ""

    def first_of_line(self, index: int) -> int:
        """Return the index of the first character that is no blank, of the line at ``index``."""
        line = self.line(index)
        column = self.places.mark(index).column
        return index - (column - 1) + len(line) - len(line.lstrip())

    def lines_above(self, index: int) -> list[str]:
        """Return the lines above that have contents, the nearest first."""
        number = self.places.mark(index).line
        above = self.lines[max(0, number - 1 - _LINES_SEARCHED) : number - 1]
        return [line for line in reversed(above) if line.strip() and line.strip()[0] != "#"]

    def block_header(self, index: int) -> str:
        """Return the line such as ``commands: |`` whose text ends above, or an empty text."""
        least = len(self.text)
        for line in self.lines_above(index):
            indent = _indent(line)
            if _BLOCK_HEADER.search(line) and indent < least:
                return line.strip()
            least = min(least, indent)
            if not least:
                break
        return ""

    def columns(self, index: int) -> list[int]:
        """Return the columns that fit a line at ``index`` after those above, counted from 1."""
        is_entry = self.line(index).lstrip().startswith("- ")
        keys: set[int] = set()
        entries: set[int] = set()
        # Whose column the next line must be left of, or at if only an entry stands there.
        nearest, is_above_entry = _NO_COLUMN, False
        for line in self.lines_above(index):
            indent, contents = _indent(line), line.strip()
            inner = indent + len(contents) - len(contents.lstrip("- "))
            if indent > nearest or (indent == nearest and not (is_above_entry and inner == indent)):
                continue
            nearest, is_above_entry = indent, inner > indent
            keys.add(inner + 1)
            entries |= {indent + 1} if inner > indent else set()
        return sorted(entries if is_entry and entries else keys)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def explain(error: yaml.MarkedYAMLError, text: str, progress: Progress) -> Explained:
    """Return what is wrong, for the first rule that knows the error."""
    failure = _Failure(error, text, progress)
    about = f"{error.context or ''}; {error.problem or ''}"
    if "<document start>" in about and text.startswith("%"):
        failure.start = 0
        return _directive(failure)
    if found := failure.no_break_space():
        return found
    for pattern, rule in _RULES:
        if re.search(pattern, about, re.DOTALL):
            return rule(failure)
    return failure.explained(failure.at, "The file is not valid YAML here.", _CHECK)


# Keys


def _no_colon(failure: _Failure) -> Explained:
    index = failure.start
    line = failure.line(index).strip()
    first = failure.first_of_line(index)
    if header := failure.block_header(index):
        return _not_indented(failure, index, header)
    if match := _NO_SPACE.match(line):
        return failure.explained(
            first,
            f"A space is missing after the colon in {quoted(line)}.",
            f"Write: {match.group(1)}: {match.group(2)[:60]}",
        )
    key, _, rest = line.removeprefix("- ").partition(" ")
    hint = f"Write: {key}: {rest[:60]}".rstrip() if rest else f"Write: {key}:"
    return failure.explained(first, f"The line {quoted(line)} has no colon after its key.", hint)


def _not_indented(failure: _Failure, index: int, header: str) -> Explained:
    message = f"The text after {quoted(header)} is not indented."
    return failure.explained(failure.first_of_line(index), message, _INDENT_TEXT)


def _colon(failure: _Failure) -> Explained:
    line = failure.line(failure.at)
    before = line[: failure.places.mark(failure.at).column - 1]
    first = _FIRST_KEY.match(line)
    key = first.group(1) if first else line.strip()
    if _COLON.search(before):
        message = (
            f"The value of {quoted(key)} has a colon with a space after it, which YAML reads as"
            " another key."
        )
        return failure.explained(failure.at, message, QUOTE_IT)
    message = f"The key {quoted(key)} is indented more than the line above, which has a value."
    return failure.explained(failure.first_of_line(failure.at), message, _columns(failure))


def _columns(failure: _Failure) -> str:
    columns = [str(each) for each in failure.columns(failure.at)]
    if len(columns) < 2:
        return f"Begin the line in column {columns[0] if columns else 1}."
    return f"Begin the line in column {', '.join(columns[:-1])} or {columns[-1]}."


def _entry_on_the_line(failure: _Failure) -> Explained:
    first = _FIRST_KEY.match(failure.line(failure.at))
    key = first.group(1) if first else "inputs"
    entry = failure.line(failure.at)[failure.places.mark(failure.at).column - 1 :].strip()
    return failure.explained(
        failure.at,
        "An entry of a list stands on the same line as the key.",
        f"Begin the list on the next line:\n{key}:\n  {entry}",
    )


# Values


def _begins(failure: _Failure) -> Explained:
    """Explain a value whose first character has another meaning in YAML."""
    if closed := _closed_before(failure, failure.start):
        return _goes_on(failure, failure.start, closed)
    char = failure.text[failure.start : failure.start + 1]
    reason = _READ_AS.get(char, "reads it in another way")
    message = f'A value may not begin with "{char}": YAML {reason}.'
    return failure.explained(failure.start, message, QUOTE_IT)


def _no_token(failure: _Failure) -> Explained:
    failure.start = failure.at
    if failure.text[failure.at : failure.at + 1] != "\t":
        return _begins(failure)
    return failure.explained(
        failure.at,
        "The line has a tab where YAML allows only spaces.",
        "Replace the tab with spaces.",
    )


def _closed_before(failure: _Failure, index: int) -> str:
    """Return the quote or bracket that closes right before ``index`` on the line, if any."""
    column = failure.places.mark(index).column
    before = failure.line(index)[: column - 1].rstrip()
    return before[-1] if before and before[-1] in "\"'}]" else ""


def _goes_on(failure: _Failure, index: int, closed: str) -> Explained:
    begin = failure.quote_before(index)
    if begin is not None:
        quote = failure.text[begin : begin + 1]
        message = (
            f"The text that begins here with {quote} ends only in line"
            f" {failure.places.mark(index).line}."
        )
        return failure.explained(begin, message, f"Write {quote} where the text ends.")
    what = "quote" if closed in "\"'" else "bracket"
    hint = "Within single quotes, write '' for a quote." if closed == "'" else QUOTE_IT
    return failure.explained(index, f"The line continues after the closing {what}.", hint)


def _open_quote(failure: _Failure) -> Explained:
    quote = failure.text[failure.start : failure.start + 1]
    inside = '\\"' if quote == '"' else "''"
    return failure.explained(
        failure.start,
        f"The text that begins here with {quote} is not closed.",
        f"Write {quote} at its end too. Within the text write {inside} for it.",
    )


def _unknown_escape(failure: _Failure) -> Explained:
    escape = failure.text[failure.at - 1 : failure.at + 1]
    return failure.explained(
        failure.at - 1,
        f"A text in double quotes has no escape {escape}.",
        "Write \\\\ for a backslash, or put the text in single quotes.",
    )


def _short_escape(failure: _Failure) -> Explained:
    index = failure.text.rfind("\\", 0, failure.at)
    letter = failure.text[index + 1 : index + 2]
    digits = {"x": 2, "u": 4, "U": 8}.get(letter, 2)
    return failure.explained(
        index,
        f"The escape \\{letter} needs {digits} hexadecimal digits.",
        "Write \\\\ for a backslash, or put the text in single quotes.",
    )


def _block_header(failure: _Failure) -> Explained:
    sign = failure.text[failure.start : failure.start + 1]
    message = f'After "{sign}" the line must end; the text stands on the lines below.'
    return failure.explained(failure.start, message, QUOTE_IT)


def _directive(failure: _Failure) -> Explained:
    return failure.explained(
        failure.start,
        'A line may not begin with "%": YAML reads it as a directive.',
        "Take the line away, or indent it if it belongs to the text above.",
    )


# Brackets


def _in_brackets(failure: _Failure) -> Explained:
    inside = [index for index in failure.opened if failure.text[index : index + 1] in _CLOSERS]
    index = inside[-1] if inside else failure.start
    bracket = failure.text[index : index + 1]
    closer = _CLOSERS.get(bracket, "]")
    same_line = failure.places.mark(index).line == failure.places.mark(failure.at).line
    ended = "end>" in failure.found or "document" in failure.found or failure.found == "'-'"
    outside = not same_line and _indent(failure.line(failure.at)) <= _indent(failure.line(index))
    if ended or outside:
        return failure.explained(
            index,
            f'The bracket "{bracket}" is not closed.',
            f'Write "{closer}" after the last entry, or quote a text that begins with "{bracket}".',
        )
    return failure.explained(
        failure.at,
        f'A comma or "{closer}" is missing here.',
        f'Separate the entries with commas, or quote a text that begins with "{bracket}".',
    )


# Indentation


def _wrong_indentation(failure: _Failure) -> Explained:
    index, found = failure.at, failure.found
    closed = _closed_before(failure, index)
    if closed and found not in ("'?'", "'-'"):
        return _goes_on(failure, index, closed)
    if found in ("'}'", "']'", "','"):
        char = found.strip("'")
        return failure.explained(index, f'"{char}" stands here without its bracket.', QUOTE_IT)
    if found in ("'<scalar>'", "':'"):
        failure.start = index
        return _no_colon(failure) if found != "':'" else _begins(failure)
    if found == "'?'" and failure.text[failure.start : failure.start + 1] == "-":
        return _key_in_list_column(failure)
    if found == "'-'":
        return failure.explained(
            index,
            "The list entry begins in the column of the keys above.",
            "Begin it in the column of the other entries of its list.",
        )
    message = "The indentation of this line does not fit the lines above."
    return failure.explained(failure.first_of_line(index), message, _columns(failure))


def _key_in_list_column(failure: _Failure) -> Explained:
    match = _FIRST_KEY.match(failure.line(failure.at))
    key = match.group(1) if match else "jobs"
    return failure.explained(
        failure.first_of_line(failure.at),
        f'The key {quoted(key)} begins in the column of the "-" of the list above.',
        f"Begin it in the column of the other keys of the entry:\n- name: build\n  {key}:",
    )


_RULES: tuple[tuple[str, Callable[[_Failure], Explained]], ...] = (
    ("could not find expected ':'", _no_colon),
    ("quoted scalar; found unexpected", _open_quote),
    ("found unknown escape character", _unknown_escape),
    ("expected escape sequence", _short_escape),
    ("mapping values are not allowed", _colon),
    ("sequence entries are not allowed", _entry_on_the_line),
    ("mapping keys are not allowed", _no_token),
    ("cannot start any token", _no_token),
    ("scanning (an alias|an anchor|a tag)|parsing a tag|undefined tag handle", _begins),
    ("scanning a block scalar", _block_header),
    ("a directive|%YAML|YAML document|duplicate tag handle", _directive),
    ("parsing a flow", _in_brackets),
    ("expected <block end>|expected '<document start>'|parsing a block", _wrong_indentation),
)
