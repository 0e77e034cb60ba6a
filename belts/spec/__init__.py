"""The language of belt files: pure, without Django.

``load`` (text to a tree with marks), ``read`` (tree to values, after ``keys``), ``build`` (values
to ``shapes``), ``parse`` (all of it), ``references`` and ``resolve`` (names of outputs),
``isolated`` (the parser in a process of its own), ``matching`` (triggers and events).
"""

from __future__ import annotations

from belts.spec.parse import ParseResult, parse_belt_text, parse_document
from belts.spec.problems import Problem, render_text, to_json
from belts.spec.shapes import BeltFile, digest

__all__ = [
    "BeltFile",
    "ParseResult",
    "Problem",
    "digest",
    "parse_belt_text",
    "parse_document",
    "render_text",
    "to_json",
]
