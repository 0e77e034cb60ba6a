"""A small reader of shell text: it tells where a shell would expand ``${...}`` and where not.

It knows quotes, comments, here-documents, command substitution, ``${...}``, arithmetic and
``case``; the rules are those of POSIX's Shell Command Language, chapter 2, and of bash where they
differ (``$'...'``, ``((...))``). It never guesses a value into the text, so that a mistake of its
own could at worst print a variable's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from belts.spec.shell_frames import (
    Case,
    Frame,
    HereDocument,
    here_document_end,
    matching_brackets,
    parameter_frame,
    read_delimiter,
)

_PLAIN_IN_QUOTES = re.compile(r"[^\"\\$`]+")
_PLAIN_IN_DOCUMENT = re.compile(r"[^\\$`]+")
_PLAIN_WORD = re.compile(r"[^\s;&|()<>$`\"'\\]+")
_COMMAND_FOLLOWS = frozenset({"then", "do", "else", "elif", "if", "while", "until", "!", "{"})
_ESCAPED_IN_QUOTES = frozenset('$`"\\\n')
_BETWEEN_WORDS = frozenset(" \t\r\n;&|()<>")

Found = tuple[int, int, str]


class ShellScan:
    """One pass over a script; afterwards ``found`` has start, end and placement of each match."""

    def __init__(
        self, text: str, shell: str, pattern: re.Pattern[str], *, within_word: bool = False
    ) -> None:
        """Take a script for ``shell`` (bash or sh) and the pattern of what to find.

        ``within_word`` tells that the text goes on where a word has begun, as behind ``NAME=``.
        """
        self.text = text
        self.bash = shell == "bash"
        self.pattern = pattern
        self.position = 0
        self.found: list[Found] = []
        self.brackets: dict[int, int] | None = None
        self.left_word = False
        self.unclosed = False
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

    def _skip(self, plain: re.Pattern[str], frame: Frame) -> bool:
        """Step over characters that mean nothing here; return whether anything is left."""
        match = plain.match(self.text, self.position, frame.end)
        self.position = match.end() if match else self.position
        return self.position < frame.end

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

    # Quotes

    def _single_quotes(self, frame: Frame) -> None:
        self._until(self.text.find("'", self.position + 1, frame.end), frame)

    def _ansi_quotes(self, frame: Frame) -> None:
        position = self.position + 2
        while position < frame.end and self.text[position] != "'":
            position += 1 + (self.text[position] == "\\")
        self._until(position if position < frame.end else -1, frame)

    def _until(self, close: int, frame: Frame) -> None:
        end = frame.end if close < 0 else close
        self.unclosed = self.unclosed or close < 0
        self._note(self.position, end, "single-quoted")
        self.position = end + 1

    def _in_quotes(self, frame: Frame) -> None:
        if not self._skip(_PLAIN_IN_QUOTES, frame):
            return
        char = self.text[self.position]
        if char == "\\":
            self.position += 1 + self._next_in(_ESCAPED_IN_QUOTES)
        elif char == '"':
            self.position += 1
            self.stack.pop()
        elif char == "$":
            self._dollar(frame, quoted=True)
        else:
            self._backquotes(quoted=True)

    def _next_in(self, chars: str | frozenset[str]) -> bool:
        following = self.text[self.position + 1 : self.position + 2]
        return bool(following) and following in chars

    # Expansions

    def _dollar(self, frame: Frame, *, quoted: bool) -> None:
        match = self.pattern.match(self.text, self.position, frame.end)
        following = self.text[self.position + 1 : min(self.position + 2, frame.end)]
        if match:
            placement = "in-arithmetic" if self._is_arithmetic() else "live"
            self.found.append((*match.span(), placement))
            self.position = match.end()
        elif following == "(":
            self._substitution(frame)
        elif following == "{":
            self.stack.append(parameter_frame(self.text, self.position, frame, quoted=quoted))
            self.position += 2
        elif self.bash and following == "[":
            self.stack.append(Frame("arithmetic", frame.end, depth=1))
            self.position += 2
        elif self.bash and not quoted and following == "'":
            self._ansi_quotes(frame)
        else:
            self.position += 2 if following and following in "$#" else 1

    def _is_arithmetic(self) -> bool:
        for frame in reversed(self.stack):
            if frame.kind in {"code", "here-document"}:
                return False
            if frame.kind == "arithmetic" or frame.in_arithmetic:
                return True
        return False

    def _arithmetic_end(self, start: int, frame: Frame) -> int | None:
        """Return where the ``))`` of the ``((`` at ``start`` is, None if it is no arithmetic.

        As in bash, ``((`` opens arithmetic only when the two brackets also close together.
        """
        if self.brackets is None:
            self.brackets = matching_brackets(self.text)
        inner, outer = self.brackets.get(start + 1), self.brackets.get(start)
        together = inner is not None and outer == inner + 1 and outer < frame.end
        return inner if together else None

    def _substitution(self, frame: Frame) -> None:
        end = None
        if self.text.startswith("$((", self.position):
            end = self._arithmetic_end(self.position + 1, frame)
        if end is None:
            self.stack.append(Frame("code", frame.end))
            self.position += 2
        else:
            self.stack.append(Frame("arithmetic", end, resume=end + 2))
            self.position += 3

    def _backquotes(self, *, quoted: bool) -> None:
        """Scan what is between backquotes as the shell does: without one level of backslashes."""
        self.position += 1
        inner: list[str] = []
        places: list[int] = []
        end = self.stack[-1].end
        escapable = '$`\\"' if quoted else "$`\\"
        while self.position < end and self.text[self.position] != "`":
            self.position += self.text[self.position] == "\\" and self._next_in(escapable)
            inner.append(self.text[self.position])
            places.append(self.position)
            self.position += 1
        self.unclosed = self.unclosed or self.position >= end
        self.position += 1
        scan = ShellScan("".join(inner), "bash" if self.bash else "sh", self.pattern).run()
        for start, stop, placement in scan.found:
            if not _is_escaped(self.text, places[start]):
                self.found.append((places[start], places[start] + stop - start, placement))

    def _in_parameter(self, frame: Frame) -> None:
        char = self.text[self.position]
        if char == "}" and not frame.in_pair:
            self.position += 1
            self.stack.pop()
        elif char == "'":
            self._quote_in_parameter(frame)
        elif char == '"':
            self.position += 1
            self.stack.append(Frame("quotes", frame.end))
        elif char == "$":
            self._dollar(frame, quoted=frame.quoted)
        elif char == "`":
            self._backquotes(quoted=frame.quoted)
        else:
            self.position += 2 if char == "\\" else 1

    def _quote_in_parameter(self, frame: Frame) -> None:
        if frame.takes_quotes:
            self._single_quotes(frame)
            return
        # bash pairs the quotes to find the closing brace, yet expands what is between them.
        frame.in_pair = self.bash and not frame.in_pair
        self.position += 1

    def _in_arithmetic(self, frame: Frame) -> None:
        char = self.text[self.position]
        if char == "$":
            self._dollar(frame, quoted=True)
        elif char == "`":
            self._backquotes(quoted=True)
        else:
            self._arithmetic_char(frame, char)

    def _arithmetic_char(self, frame: Frame, char: str) -> None:
        self.position += 2 if char == "\\" else 1
        if frame.resume is None and char in "[]":
            frame.depth += 1 if char == "[" else -1
            if not frame.depth:
                self.stack.pop()

    def _note(self, start: int, end: int, placement: str) -> None:
        for match in self.pattern.finditer(self.text, start, end):
            if not _is_escaped(self.text, match.start()):
                self.found.append((*match.span(), placement))


def _is_escaped(text: str, position: int) -> bool:
    before = position
    while before and text[before - 1] == "\\":
        before -= 1
    return bool((position - before) % 2)
