"""How problems look."""

from __future__ import annotations

from belts.spec import Problem, parse_belt_text, render_text, to_json

TEXT = "product: p\nbelts:\n  - name: b\n    jobs:\n      - name: j\n        comands: make\n"


def test_text_shows_the_line_with_a_caret_and_the_way_out() -> None:
    problems = [each for each in parse_belt_text(TEXT).problems if each.code == "key.unknown"]
    assert render_text(problems, TEXT, "f.yml").splitlines() == [
        'f.yml:6:9: error: A job has no key "comands". [key.unknown]',
        "     6 |         comands: make",
        "       |         ^",
        "  at: belts[0].jobs[0].comands",
        '  hint: Did you mean "commands"?',
    ]


def test_plain_data_has_every_field() -> None:
    problem = Problem("key.unknown", "error", "m", "h", "p", 3, 4)
    assert to_json([problem]) == [
        {
            "code": "key.unknown",
            "severity": "error",
            "message": "m",
            "hint": "h",
            "path": "p",
            "line": 3,
            "column": 4,
            "excerpt": "",
        }
    ]


def test_plain_data_has_the_offending_line_and_gives_the_problem_back() -> None:
    problem = next(each for each in parse_belt_text(TEXT).problems if each.code == "key.unknown")
    (document,) = to_json([problem], TEXT.encode())
    assert document["excerpt"] == "        comands: make"
    assert Problem.from_document(document) == problem
    (long,) = to_json([problem], "\n" * 5 + "x" * 100_000)
    assert len(long["excerpt"]) < 200


def test_a_file_cannot_send_control_characters_to_the_terminal() -> None:
    text = 'product: "a\\e[31mb"\n"\\e]0;x\\a": 1\n# \x9b31m\n'
    shown = render_text(parse_belt_text(text).problems, text, "f\x1b.yml")
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert shown.replace("\n", "").isprintable()


def test_a_long_line_is_shown_around_the_place() -> None:
    text = (
        "product: p\ndescription: " + "x" * 3_000 + " &a b\nextra: " + "[" + "1, " * 900 + "&a 1]"
    )
    shown = render_text(parse_belt_text(text).problems, text, "f.yml")
    assert max(len(line) for line in shown.splitlines()) < 400
    caret = [line for line in shown.splitlines() if line.endswith("^")]
    assert caret


def test_a_problem_without_a_line_shows_none() -> None:
    assert render_text([Problem("value.empty", "error", "Empty.")], b"", "f.yml") == (
        "f.yml: error: Empty. [value.empty]\n"
    )


def test_a_reference_is_shown_where_it_stands_in_each_form_of_script() -> None:
    head = "product: p\nbelts:\n  - name: b\n    jobs:\n      - name: j\n        commands:"
    for script, line, column in [
        (" echo '${k.X}'", 6, 25),
        (" \"echo '${k.X}'\"", 6, 26),
        (" |\n          cd /\n\n            echo '${k.X}'", 9, 19),
        ("\n          - cd /\n          - |\n            true\n            echo '${k.X}'", 10, 19),
    ]:
        problem = parse_belt_text(head + script + "\n").problems[0]
        assert (problem.code, problem.line, problem.column) == (
            "reference.single-quoted",
            line,
            column,
        ), script
