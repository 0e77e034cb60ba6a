"""Forms of the admin: values that are only ever written, and tokens that are shown once."""

from __future__ import annotations

from typing import Any

from django import forms

from products.models import ApiToken, Credential
from products.tokens import DEFAULT_DAYS, MAX_DAYS, SCOPES

_LONGEST_VALUE = 64 * 1024


class WriteOnlyTextarea(forms.Textarea):
    """A text area that never shows what was typed into it, not even after a mistake."""

    def format_value(self, value: Any) -> None:
        """Return nothing."""


class CredentialForm(forms.ModelForm[Credential]):
    """A credential; its value goes in here and comes out nowhere."""

    value = forms.CharField(
        required=False,
        strip=False,
        max_length=_LONGEST_VALUE,
        widget=WriteOnlyTextarea(attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false"}),
        help_text="Can be written, never read. Empty keeps the value that is there.",
    )

    class Meta:
        model = Credential
        fields = ["name", "kind", "variable", "username", "products"]

    def clean_value(self) -> str:
        """Return the value with the line ends of files instead of those of forms."""
        value = str(self.cleaned_data["value"]).replace("\r\n", "\n")
        if not value and not self.instance.sealed:
            raise forms.ValidationError("A new credential needs a value.")
        return value


class TokenForm(forms.ModelForm[ApiToken]):
    """What a new token may do and how long it lives."""

    scopes = forms.MultipleChoiceField(
        choices=[("read", "read: look at everything its user sees"), ("run", "run: and act")],
        initial=["read"],
        widget=forms.CheckboxSelectMultiple,
    )
    days = forms.IntegerField(
        initial=DEFAULT_DAYS,
        min_value=1,
        max_value=MAX_DAYS,
        help_text=f"It ends after so many days, at most {MAX_DAYS}.",
    )

    class Meta:
        model = ApiToken
        fields = ["user", "name", "scopes", "products"]

    def clean_scopes(self) -> list[str]:
        """Return the scopes that exist."""
        return [scope for scope in self.cleaned_data["scopes"] if scope in SCOPES]
