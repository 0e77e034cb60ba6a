"""Quotes and expansions of the shell, as far as it takes to find what they enclose."""

from __future__ import annotations

import re

from belts.spec.shell_frames import Frame, matching_brackets, parameter_frame

_PLAIN_IN_QUOTES = re.compile(r"[^\"\\$`]+")
_ESCAPED_IN_QUOTES = frozenset('$`"\\\n')

Found = tuple[int, int, str]


class ExpansionScan:
    """The half of ``ShellScan`` that reads what begins with a quote, ``$`` or a backquote."""

    def __init__(self, text: str, shell: str, pattern: re.Pattern[str]) -> None:
        """Take a script for ``shell`` (bash or sh) and the pattern of what to find."""
        self.text = text
        self.shell = shell
        self.bash = shell == "bash"
        self.pattern = pattern
        self.position = 0
        self.found: list[Found] = []
        self.brackets: dict[int, int] | None = None
        self.unclosed = False
        self.stack: list[Frame] = []

    def within(self, text: str) -> list[Found]:
        """Return what a scan of ``text`` by itself finds."""
        raise NotImplementedError

    def _skip(self, plain: re.Pattern[str], frame: Frame) -> bool:
        """Step over characters that mean nothing here; return whether anything is left."""
        match = plain.match(self.text, self.position, frame.end)
        self.position = match.end() if match else self.position
        return self.position < frame.end

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
        for start, stop, placement in self.within("".join(inner)):
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
