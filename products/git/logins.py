"""Logins in addresses of repositories, which no message, excerpt or report repeats.

The one rule for it. It imports nothing, so that the parser of belt files may use it, too.
"""

from __future__ import annotations

import re

# What may be a URL: no blanks, and no quote that closes it.
_WORD = re.compile(r"""(?:[^\s"']|["'](?![\s,:\])}]|$))+""")


def shown(text: str) -> str:
    """Return an address, or a text with some, as it may be shown: without logins and queries."""
    return _WORD.sub(lambda match: _without_login(match[0]), text)


def parted(line: str, index: int) -> tuple[str, str]:
    """Return what stands before and after an index of a line, both as ``shown`` has it.

    An index inside a word with a login moves to the beginning of the word.
    """
    for match in _WORD.finditer(line):
        if match.start() < index < match.end() and _without_login(match[0]) != match[0]:
            index = match.start()
    return shown(line[:index]), shown(line[index:])


def _without_login(word: str) -> str:
    if "://" in word:
        return "://".join(_without_query(part) for part in word.split("://"))
    _, _, after = word.partition(":")
    _, at, place = after.rpartition("@")
    return place if at and ":" in place else word


def _without_query(part: str) -> str:
    authority, _, _ = part.partition("/")
    # A password may have slashes and @ in it.
    login = part if ":" in authority else authority
    bare, mark, query = part[login.rfind("@") + 1 :].partition("?")
    return f"{bare}?…" if query else bare + mark
