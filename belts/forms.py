"""The form that starts a belt."""

from __future__ import annotations

import re

from django import forms

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}", re.ASCII)
_MOST = 64


class StartForm(forms.Form):
    """Ref and parameters of a run that a person starts."""

    ref = forms.CharField(
        required=False,
        max_length=500,
        label="Ref",
        help_text="A branch, tag or commit. Empty: the head of the default branch.",
    )
    parameters = forms.CharField(
        required=False,
        strip=False,
        max_length=256 * 1024,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="One NAME=value a line; each becomes a variable of every job.",
    )
    continue_downstream = forms.BooleanField(
        required=False, initial=True, label="Start what follows downstream"
    )

    def clean_parameters(self) -> dict[str, str]:
        """Return the values by name; raises ValidationError that names the line."""
        values: dict[str, str] = {}
        lines: dict[str, int] = {}
        for number, line in enumerate(self.cleaned_data["parameters"].splitlines(), start=1):
            if not line.strip():
                continue
            name, equals, value = line.partition("=")
            name = name.strip()
            if not equals or not _NAME.fullmatch(name):
                raise forms.ValidationError(
                    f"Line {number} is not NAME=value. Name a parameter like a variable."
                )
            first = lines.setdefault(name, number)
            if first != number:
                raise forms.ValidationError(
                    f"Line {number} gives {name} again, after line {first}. Leave one of them."
                )
            values[name] = value
        if len(values) > _MOST:
            raise forms.ValidationError(f"Give at most {_MOST} parameters.")
        return values
