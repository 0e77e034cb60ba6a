"""What the service says."""

from __future__ import annotations

GREETINGS = {
    "de": "Hallo",
    "en": "Hello",
    "fr": "Bonjour",
    "tr": "Merhaba",
}


def greet(name: str, language: str = "en") -> str:
    """Return a greeting; a language that is not spoken here is English."""
    word = GREETINGS.get(language, GREETINGS["en"])
    return f"{word}, {name.strip() or 'World'}!"
