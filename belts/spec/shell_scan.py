"""A small reader of shell text: it tells where a shell would expand ``${...}`` and where not.

It knows quotes, comments, here-documents, command substitution, ``${...}``, arithmetic and
``case``; the rules are those of POSIX's Shell Command Language, chapter 2, and of bash where they
differ (``$'...'``, ``((...))``). It never guesses a value into the text, so that a mistake of its
own could at worst print a variable's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from belts.spec.shell_expansions import ExpansionScan, Found
from belts.spec.shell_frames import (
    Case,
    Frame,
    HereDocument,
    here_document_end,
    read_delimiter,
)

_PLAIN_IN_DOCUMENT = re.compile(r"[^\\$`]+")
_PLAIN_WORD = re.compile(r"[^\s;&|()<>$`\"'\\]+")
_COMMAND_FOLLOWS = frozenset({"then", "do", "else", "elif", "if", "while", "until", "!", "{"})
_BETWEEN_WORDS = frozenset(" \t\r\n;&|()<>")


class ShellScan(ExpansionScan):
    """One pass over a script; afterwards ``found`` has start, end and placement of each match."""

    def __init__(
        self, text: str, shell: str, pattern: re.Pattern[str], *, within_word: bool = False
    ) -> None:
        """Take a script for ``shell`` (bash or sh) and the pattern of what to find.

        ``within_word`` says that the text continues a word, as after ``NAME=``.
        """
        super().__init__(text, shell, pattern)
        self.left_word = False
        begins = not within_word
        self.stack = [Frame("code", len(text), at_word=begins, at_command=begins)]

    def run(self) -> ShellScan:
        """Scan to the end; return itself."""
        handlers: dict[str, Callable[[Frame], None]] = {
            "code": self._in_code,
            "quotes": self._in_quotes,
            "parameter": self._in_parameter,
            "arithmetic": self._in_arithmetic,
            "here-document": self._in_here_document,
        }
        while self.stack:
            frame = self.stack[-1]
            if self.position < frame.end:
                handlers[frame.kind](frame)
            else:
                self._leave(frame)
        self.found.sort()
        return self

    def within(self, text: str) -> list[Found]:
        """Return what a scan of ``text`` by itself finds."""
        return ShellScan(text, self.shell, self.pattern).run().found

    @property
    def is_one_word(self) -> bool:
        """Whether the text is at most one complete word of the shell."""
        return not self.left_word and not self.unclosed

    def _leave(self, frame: Frame) -> None:
        self.stack.pop()
        if frame.resume is not None:
            self.position = frame.resume
        elif self.stack:
            self.unclosed = True

    # Code

    def _in_code(self, frame: Frame) -> None:
        char = self.text[self.position]
        if char in _BETWEEN_WORDS:
            self._between_words(frame, char)
        elif char == "#" and frame.at_word:
            self._comment(frame)
        elif char in "'\"\\$`":
            self._quoting(frame, char)
        else:
            self._word(frame)

    def _between_words(self, frame: Frame, char: str) -> None:
        self.left_word = self.left_word or len(self.stack) == 1
        if char == "<":
            self._less(frame)
        elif char == "(":
            self._open(frame)
        elif char == ")":
            self._close(frame)
        elif char in ";&|\n":
            self._separator(frame, char)
        else:
            self.position += 1
        frame.at_word = True

    def _separator(self, frame: Frame, char: str) -> None:
        case = frame.cases[-1] if frame.cases else None
        if char == ";" and self.text[self.position + 1 : self.position + 2] in {";", "&"}:
            if case is not None and case.state == "body":
                case.state, case.started = "pattern", False
            self.position += 2
            return
        self.position += 1
        frame.at_command = case is None or case.state == "body"
        if char == "\n":
            self._here_documents(frame)

    def _comment(self, frame: Frame) -> None:
        self.left_word = self.left_word or len(self.stack) == 1
        newline = self.text.find("\n", self.position, frame.end)
        end = frame.end if newline < 0 else newline
        self._note(self.position, end, "comment")
        self.position = end

    def _quoting(self, frame: Frame, char: str) -> None:
        newline_joined = char == "\\" and self.text[self.position + 1 : self.position + 2] == "\n"
        if newline_joined:
            self.position += 2
            return
        frame.at_word = frame.at_command = False
        self._start_pattern(frame)
        if char == "\\":
            self.position += 2
        elif char == "'":
            self._single_quotes(frame)
        elif char == '"':
            self.position += 1
            self.stack.append(Frame("quotes", frame.end))
        elif char == "`":
            self._backquotes(quoted=False)
        else:
            self._dollar(frame, quoted=False)

    def _word(self, frame: Frame) -> None:
        match = _PLAIN_WORD.match(self.text, self.position, frame.end)
        word = match.group() if match else self.text[self.position]
        end = self.position + len(word)
        whole = frame.at_word and (end >= frame.end or self.text[end] in _BETWEEN_WORDS)
        self.position = end
        frame.at_word = False
        if whole:
            self._keyword(frame, word)
        else:
            frame.at_command = False
            self._start_pattern(frame)

    def _keyword(self, frame: Frame, word: str) -> None:
        case = frame.cases[-1] if frame.cases else None
        if case is not None and case.state == "subject":
            case.state = "pattern" if word == "in" and case.started else "subject"
            case.started = case.state == "subject"
        elif word == "esac" and case is not None and (frame.at_command or not case.started):
            frame.cases.pop()
            frame.at_command = False
        elif case is not None and case.state == "pattern":
            case.started = True
        elif frame.at_command and word == "case":
            frame.cases.append(Case())
            frame.at_command = False
        else:
            frame.at_command = frame.at_command and word in _COMMAND_FOLLOWS

    def _start_pattern(self, frame: Frame) -> None:
        if frame.cases and frame.cases[-1].state != "body":
            frame.cases[-1].started = True

    def _open(self, frame: Frame) -> None:
        case = frame.cases[-1] if frame.cases else None
        if case is not None and case.state == "pattern":
            case.depth += case.started
            case.started = True
            self.position += 1
        elif self.bash and frame.at_word and self.text.startswith("((", self.position):
            self._double_bracket(frame)
        else:
            frame.depth += 1
            frame.at_command = True
            self.position += 1

    def _double_bracket(self, frame: Frame) -> None:
        end = self._arithmetic_end(self.position, frame)
        if end is None:
            frame.depth += 2
            frame.at_command = True
        else:
            frame.at_command = False
            self.stack.append(Frame("arithmetic", end, resume=end + 2))
        self.position += 2

    def _close(self, frame: Frame) -> None:
        case = frame.cases[-1] if frame.cases else None
        self.position += 1
        frame.at_command = True
        if case is not None and case.state == "pattern":
            if case.depth:
                case.depth -= 1
            else:
                case.state = "body"
        elif frame.depth:
            frame.depth -= 1
        elif len(self.stack) > 1 and frame.resume is None:
            self.stack.pop()

    # Here-documents

    def _less(self, frame: Frame) -> None:
        if self.text.startswith("<<<", self.position):
            self.position += 3
        elif self.text.startswith("<<", self.position):
            strip = self.text.startswith("<<-", self.position)
            start = self.position + 2 + strip
            delimiter, quoted, self.position = read_delimiter(self.text, start, frame.end)
            frame.pending.append(HereDocument(delimiter, quoted, strip))
        else:
            self.position += 1
        frame.at_command = False

    def _here_documents(self, frame: Frame) -> None:
        documents, frame.pending = frame.pending, []
        bodies: list[Frame] = []
        position = self.position
        for document in documents:
            end, after = here_document_end(self.text, position, frame.end, document)
            if document.quoted:
                self._note(position, end, "quoted-here-document")
                end = position
            bodies.append(Frame("here-document", end, resume=after, quoted=True))
            position = after
        self.stack += reversed(bodies)

    def _in_here_document(self, frame: Frame) -> None:
        if not self._skip(_PLAIN_IN_DOCUMENT, frame):
            return
        char = self.text[self.position]
        if char == "\\":
            self.position += 1 + self._next_in("$`\\\n")
        elif char == "$":
            self._dollar(frame, quoted=True)
        else:
            self._backquotes(quoted=False)
