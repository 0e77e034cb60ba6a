"""Texts that are not YAML: the sentence, the place and the way out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from belts.spec import parse_belt_text, render_text, to_json

HEAD = "product: p\nbelts:\n  - name: b\n    jobs:\n      - name: j\n"
QUOTE = "Quote it, or write the commands as one text after `|`."
INDENT = "Indent the lines of the text more than their key:\ncommands: |\n  make test"
BACKSLASH = "Write \\\\ for a backslash, or put the text in single quotes."


def job(*lines: str) -> str:
    return HEAD + "".join(f"        {line}\n" for line in lines)


def command(text: str) -> str:
    return job("commands:", f"  - {text}")


def value(char: str, reading: str) -> str:
    return f'A value may not begin with "{char}": YAML {reading}.'


BROKEN: dict[str, tuple[str, tuple[int, int], str, str]] = {
    "double quote not closed": (
        'product: p\ndescription: "open\nbelts:\n  - name: b\n', (2, 14),
        'The text that begins here with " is not closed.',
        'Write " at its end too. Within the text write \\" for it.'),
    "single quote not closed": (
        "product: p\ndescription: 'open\nbelts: []\n", (2, 14),
        "The text that begins here with ' is not closed.",
        "Write ' at its end too. Within the text write '' for it."),
    "quote closed by another": (
        'product: p\ndescription: "open\n' + job('commands: echo "hi"')[11:], (2, 14),
        'The text that begins here with " ends only in line 7.', 'Write " where the text ends.'),
    "document line in quotes": (
        'product: "a\n---\nb"\n', (1, 10), 'The text that begins here with " is not closed.',
        'Write " at its end too. Within the text write \\" for it.'),
    "no colon": (
        job("commands echo hi") + "      - name: k\n        commands: x\n", (6, 9),
        'The line "commands echo hi" has no colon after its key.', "Write: commands: echo hi"),
    "no colon in the last line": (
        job("commands echo hi"), (6, 9),
        'The line "commands echo hi" has no colon after its key.', "Write: commands: echo hi"),
    "no colon after one word": (
        "product: p\nbelts\n  - name: b\n", (2, 1),
        'The line "belts" has no colon after its key.', "Write: belts:"),
    "no space after the colon": (
        job("commands:make test", "timeout: 5m"), (6, 9),
        'A space is missing after the colon in "commands:make test".',
        "Write: commands: make test"),
    "no-break space after a name": (
        "product: p\nbelts:\n  - name:\u00a0b\n    jobs:\n      - name: j\n        commands: x\n",
        (3, 10), "The line has a no-break space (U+00A0) where YAML needs an ordinary space.",
        "Replace it with an ordinary space."),
    "no-break space in the indentation": (
        "product: p\nbelts:\n\u00a0 - name: b\n    jobs:\n      - name: j\n        commands: x\n",
        (3, 1), "The line has a no-break space (U+00A0) where YAML needs an ordinary space.",
        "Replace it with an ordinary space."),
    "quote within single quotes": (
        "product: p\ndescription: 'it's x'\n", (2, 18),
        "The line continues after the closing quote.",
        "Within single quotes, write '' for a quote."),
    "no-break space": (
        job("commands:\u00a0echo hi"), (6, 18),
        "The line has a no-break space (U+00A0) where YAML needs an ordinary space.",
        "Replace it with an ordinary space."),
    "text not indented": (
        job("commands: |", "make", "make test", "timeout: 5m"), (7, 9),
        'The text after "commands: |" is not indented.', INDENT),
    "text in the first column": (
        job("commands: |") + "make\nmake test\n", (7, 1),
        'The text after "commands: |" is not indented.', INDENT),
    "second line of a text not indented": (
        job("commands: |", "  make") + "   make test\n", (8, 4),
        'The text after "commands: |" is not indented.', INDENT),
    "key in the column of the dash": (
        "product: p\nbelts:\n  - name: b\n  jobs:\n    - name: j\n", (4, 3),
        'The key "jobs" begins in the column of the "-" of the list above.',
        "Begin it in the column of the other keys of the entry:\n- name: build\n  jobs:"),
    "dash in the column of the keys": (
        job("commands: x", "- name: k"), (7, 9),
        "The list entry begins in the column of the keys above.",
        "Begin it in the column of the other entries of its list."),
    "column that fits no level": (
        job("commands: x") + "       timeout: 5m\n", (7, 8),
        "The indentation of this line does not fit the lines above.",
        "Begin the line in column 1, 5 or 9."),
    "key below a value": (
        job("commands: x", "  timeout: 5m"), (7, 11),
        'The key "timeout" is indented more than the line above, which has a value.',
        "Begin the line in column 1, 5 or 9."),
    "key below a list": (
        job("inputs: [source]", "  timeout: 5m"), (7, 11),
        "The indentation of this line does not fit the lines above.",
        "Begin the line in column 1, 5 or 9."),
    "first line indented": (
        "  product: p\nbelts: []\n", (2, 1),
        "The indentation of this line does not fit the lines above.",
        "Begin the line in column 3."),
    "second colon": (
        job("commands: echo status: ok"), (6, 30),
        'The value of "commands" has a colon with a space after it, which YAML reads as another'
        " key.", QUOTE),
    "list on the line of the key": (
        job("inputs: - source"), (6, 17), "An entry of a list stands on the same line as the key.",
        "Begin the list on the next line:\ninputs:\n  - source"),
    "bracket not closed": (
        "product: p\ntriggers: [\nbelts:\n  - name: b\n", (2, 11),
        'The bracket "[" is not closed.',
        'Write "]" after the last entry, or quote a text that begins with "[".'),
    "brace not closed": (
        "product: p\ntriggers:\n  - {manual: , belts: b\n", (3, 5),
        'The bracket "{" is not closed.',
        'Write "}" after the last entry, or quote a text that begins with "{".'),
    "no comma": (
        '{"product": "p" "belts": []}', (1, 17), 'A comma or "}" is missing here.',
        'Separate the entries with commas, or quote a text that begins with "{".'),
    "bracket that nothing opened": (
        "product: p\ntriggers: ]\n", (2, 11), '"]" stands here without its bracket.', QUOTE),
    "tab": (
        "product: p\n\tbelts:\n", (2, 1), "The line has a tab where YAML allows only spaces.",
        "Replace the tab with spaces."),
    "at": (command("@echo"), (7, 13), value("@", "reserves that character"), QUOTE),
    "backtick": (command("`date`"), (7, 13), value("`", "reserves that character"), QUOTE),
    "percent": (command("%x"), (7, 13), value("%", "reads it as a directive"), QUOTE),
    "asterisk": (command("*.txt"), (7, 13), value("*", "reads it as an alias"), QUOTE),
    "ampersand": (command("& x"), (7, 13), value("&", "reads it as an anchor"), QUOTE),
    "exclamation mark": (command("!a!b c"), (7, 13), value("!", "reads it as a tag"), QUOTE),
    "colon": (command(": nothing"), (7, 13), value(":", "reads it as the end of a key"), QUOTE),
    "question mark": (
        job("commands: ? x"), (6, 19), value("?", "reads it as a key of several lines"), QUOTE),
    "percent at the beginning": (
        "%x\nproduct: p\n", (1, 1), 'A line may not begin with "%": YAML reads it as a directive.',
        "Take the line away, or indent it if it belongs to the text above."),
    "command after a quote": (
        command('"a" && b'), (7, 17), "The line continues after the closing quote.", QUOTE),
    "command after a bracket": (
        command("[ -f x ] && y"), (7, 22), "The line continues after the closing bracket.", QUOTE),
    "output redirected": (
        command("> out"), (7, 13),
        'After ">" the line must end; the text stands on the lines below.', QUOTE),
    "unknown escape": (
        job('commands: "grep \\d x"'), (6, 25),
        "A text in double quotes has no escape \\d.", BACKSLASH),
    "short escape": (
        job('commands: "\\xg"'), (6, 20), "The escape \\x needs 2 hexadecimal digits.", BACKSLASH),
    "escape out of range": (
        'product: "\\UFFFFFFFF"\n', (1, 13),
        "The number of an escape or directive is too large here.", BACKSLASH),
}  # fmt: skip


@pytest.mark.parametrize(("text", "place", "message", "hint"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_yaml_has_a_plain_sentence_at_its_cause(
    text: str, place: tuple[int, int], message: str, hint: str
) -> None:
    (problem,) = parse_belt_text(text).problems
    assert (problem.code, problem.message, problem.hint) == ("file.syntax", message, hint)
    assert (problem.line, problem.column) == place
    (document,) = to_json([problem], text)
    assert document["excerpt"] == text.split("\n")[place[0] - 1].replace("\u00a0", "\\xa0").replace(
        "\t", "    "
    )


def test_hint_of_several_lines_is_indented() -> None:
    text = job("inputs: - source")
    shown = render_text(parse_belt_text(text).problems, text, "f.yml").splitlines()
    assert shown[-3:] == [
        "  hint: Begin the list on the next line:",
        "        inputs:",
        "          - source",
    ]


def test_json_escapes_of_one_character_are_joined() -> None:
    jobs = '[{"name": "j", "commands": "echo \\ud83d\\ude00"}]'
    text = f'{{"product": "y", "belts": [{{"name": "b", "jobs": {jobs}}}]}}'
    file = parse_belt_text(text).file
    assert file is not None
    assert file.belts[0].jobs[0].commands == "echo \U0001f600"


@pytest.mark.parametrize("escapes", ["\\ud83d", "\\ude00", "\\ude00\\ud83d", "\\ud83dx\\ude00"])
def test_half_of_a_character_is_refused(escapes: str) -> None:
    (problem,) = parse_belt_text(f'product: p\ndescription: "{escapes}"\n').problems
    assert (problem.code, problem.line) == ("file.bad-character", 2)
    assert problem.message.startswith("The text contains half of a character")
    assert problem.hint == "Remove it, or write the whole character."


ODD = "a\x85\u2028\u2029\u00a0\u3000\u00e9"


@given(
    above=st.lists(st.tuples(st.text(ODD, max_size=9), st.sampled_from(["\n", "\r\n", "\r"]))),
    before=st.text(ODD, max_size=9),
)
def test_lines_are_counted_as_editors_count_them(above: list[tuple[str, str]], before: str) -> None:
    head = "product: p\n" + "".join(f"# {text}{end}" for text, end in above)
    line = f'"{before}": x'
    text = f"{head}{line}\ndescription: x\n"
    (problem,) = parse_belt_text(text).problems
    assert (problem.code, problem.line, problem.column) == ("key.unknown", 2 + len(above), 1)
    (document,) = to_json([problem], text.encode())
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in line
    )
    assert document["excerpt"] == shown


@given(st.text("ab " + ODD, max_size=30))
def test_characters_that_end_lines_only_in_yaml_stay_in_scripts(text: str) -> None:
    parsed = parse_belt_text(job("commands: |", f"  echo {text}.", "  make"))
    assert parsed.file is not None
    assert parsed.file.belts[0].jobs[0].commands == f"echo {text}.\nmake"


@pytest.mark.parametrize("char", ["\x0b", "\x0c", "\x1c", "\x07"])
def test_forbidden_character_is_shown_in_its_line(char: str) -> None:
    text = f"product: p\n# note\u2028more\r\nbelts: []\rdescription: x{char}\n"
    (problem,) = parse_belt_text(text).problems
    assert (problem.code, problem.line, problem.column) == ("file.bad-character", 4, 15)
    (document,) = to_json([problem], text)
    assert document["excerpt"].startswith("description: x\\x")


def test_byte_order_mark_is_no_column() -> None:
    text = b"\xef\xbb\xbffoo: 1\n"
    problem = parse_belt_text(text).problems[-1]
    assert (problem.line, problem.column) == (1, 1)
    assert to_json([problem], text)[0]["excerpt"] == "foo: 1"
