"""What a sandbox shows of the machine, as a list that both ways of making one understand."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["read-only", "writable", "link", "folder", "empty", "nothing", "proc", "dev"]


class Mount(NamedTuple):
    """A part of what a sandbox shows at ``target``; later ones lie over earlier ones.

    ``read-only`` and ``writable`` show the file or folder ``source``, ``link`` is a symlink that
    says ``source``, ``folder`` is made in the sandbox's own root, ``empty`` hides a folder and
    ``nothing`` a file, ``proc`` and ``dev`` are the sandbox's own.
    """

    kind: Kind
    target: str
    source: str = ""
