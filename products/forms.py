"""Forms of the admin: what people write there is checked as everywhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from products.credentials import LONGEST_VALUE, username_problem, value_problem
from products.errors import UserError
from products.git.access import kind_problem
from products.git.urls import check_url, same_host, same_repository
from products.models import ApiToken, Configuration, Credential, Membership, Source
from products.names import variable_of_credential, variable_problem
from products.sources import check_path, poll_at_once, reset_polling
from products.tokens import DEFAULT_DAYS, MAX_DAYS, SCOPES

#: The kinds of credentials that sources are read with.
_OF_SOURCES = (Credential.Kind.GIT, Credential.Kind.SSH_KEY)


def refuse_some_of_all(form: forms.ModelForm[Any], given: Mapping[str, Any]) -> None:
    """Add an error where both all products and some of them were chosen."""
    if given.get("all_products") and given.get("products"):
        form.add_error(
            "products", "Choose either all products or some: remove these, or untick the other."
        )


class MembershipForm(forms.ModelForm[Membership]):
    """The role of a user in a product."""

    class Meta:
        model = Membership
        fields = ["product", "user", "role"]
        help_texts = {
            "product": "The product that the user may see.",
            "user": "The account that receives the role. Staff need no membership.",
            "role": "What the user may do in this product.",
        }


class WriteOnlyTextarea(forms.Textarea):
    """A text area that never shows what was typed into it, not even after a mistake."""

    def format_value(self, value: Any) -> None:
        """Return nothing."""


class CredentialForm(forms.ModelForm[Credential]):
    """A credential; its value goes in here and comes out nowhere."""

    value = forms.CharField(
        required=False,
        strip=False,
        max_length=LONGEST_VALUE,
        widget=WriteOnlyTextarea(attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false"}),
        help_text="The secret itself. Nobody can read it here later. On a change, leave this empty "
        "to keep the stored value.",
    )

    class Meta:
        model = Credential
        fields = ["name", "kind", "variable", "username", "products"]
        help_texts = {
            "name": "Belt files refer to this name, as in credentials: [deploy-token].",
            "kind": "How a job or a source receives the value.",
            "username": "Account at the git host, for git credentials only. Leave it empty for a "
            "token of GitHub.",
        }

    def clean_value(self) -> str:
        """Return the value with the line ends of files instead of those of forms."""
        value = str(self.cleaned_data["value"]).replace("\r\n", "\n")
        if not value and not self.instance.sealed:
            raise ValidationError("A new credential needs a value.")
        return value

    def clean(self) -> dict[str, Any]:
        """Check what value and variable are together with the rest."""
        given = super().clean() or {}
        kind = str(given.get("kind", ""))
        self._check_value(kind, str(given.get("value", "")))
        self._check_variable(kind, str(given.get("name", "")), str(given.get("variable")))
        problem = username_problem(kind, str(given.get("username", "")))
        if problem is not None:
            self.add_error("username", problem)
        self._check_sources(kind)
        return given

    def _check_variable(self, kind: str, name: str, variable: str) -> None:
        # Those that sources use may be for them alone. A job cannot name one that would be given
        # in a variable of the platform: belt files are checked for that.
        if kind in _OF_SOURCES and not variable:
            return
        problem = variable_problem(variable or variable_of_credential(name))
        if name and problem is not None:
            self.add_error("variable", problem)

    def _check_sources(self, kind: str) -> None:
        """Refuse a kind that is of no use to a source that has this credential."""
        if self.instance._state.adding or "kind" not in self.changed_data:
            return
        for source in self.instance.sources.select_related("product"):
            if kind_problem(source.url, self.instance.name, kind) is not None:
                self.add_error(
                    "kind",
                    f"The source of {source.product} is read with this credential as it is. Give "
                    "the source another one first.",
                )

    def _check_value(self, kind: str, value: str) -> None:
        problem = value_problem(kind, value) if value else None
        if problem is not None:
            self.add_error("value", problem)
        if not value and self.instance.sealed and "kind" in self.changed_data:
            self.add_error("value", "A credential of another kind needs its value again.")


class TokenForm(forms.ModelForm[ApiToken]):
    """What a new token may do and how long it lives."""

    scopes = forms.MultipleChoiceField(
        choices=[
            ("read", "read: see what its user sees"),
            ("run", "run: start, cancel and rerun"),
        ],
        initial=["read"],
        widget=forms.CheckboxSelectMultiple,
        help_text="What programs may do with the token. It can do no more than its user.",
    )
    days = forms.IntegerField(
        initial=DEFAULT_DAYS,
        min_value=1,
        max_value=MAX_DAYS,
        help_text=f"Days until the token ends, at most {MAX_DAYS}.",
    )

    class Meta:
        model = ApiToken
        fields = ["user", "name", "scopes", "all_products", "products"]
        help_texts = {
            "user": "The account that the token acts for.",
            "name": "Where the token is used, such as release-script. Lists show this name.",
        }

    def clean(self) -> dict[str, Any]:
        """Refuse a choice of products beside all products."""
        given = super().clean() or {}
        refuse_some_of_all(self, given)
        return given

    def clean_scopes(self) -> list[str]:
        """Return the scopes that exist."""
        return [scope for scope in self.cleaned_data["scopes"] if scope in SCOPES]


class SourceForm(forms.ModelForm[Source]):
    """The repository of a product; another one is looked at as if for the first time."""

    class Meta:
        model = Source
        fields = ["product", "url", "path", "credential", "poll", "poll_interval_s"]
        labels = {"url": "URL", "poll": "Check for new commits"}
        help_texts = {
            "product": "The product that this repository belongs to.",
            "credential": "Needed for a private repository: kind git for https, kind ssh-key for "
            "ssh. The credential must list this product.",
        }

    def clean_url(self) -> str:
        """Return an address that this site allows."""
        url = str(self.cleaned_data["url"]).strip()
        try:
            check_url(url)
        except UserError as error:
            raise ValidationError(str(error)) from error
        return url

    def clean_path(self) -> str:
        """Return a path that a file in a repository may have."""
        path = str(self.cleaned_data["path"])
        try:
            check_path(path)
        except UserError as error:
            raise ValidationError(str(error)) from error
        return path

    def clean(self) -> dict[str, Any]:
        """Refuse to send a credential to another host than the one it was given for."""
        given = super().clean() or {}
        before, url = str(self.initial.get("url", "")), str(given.get("url", ""))
        kept = given.get("credential") is not None and "credential" not in self.changed_data
        if before and url and kept and not same_host(before, url):
            self.add_error(
                "credential",
                "This credential was given for another host. Save the source without it first; "
                "then choose one for the new host.",
            )
        self._check_credential(given)
        return given

    def _check_credential(self, given: dict[str, Any]) -> None:
        """Refuse a credential that is not for the product, or of no use at the address.

        Whether it is for a new product is asked by the poll.
        """
        credential, url = given.get("credential"), given.get("url")
        if credential is None:
            return
        problem = kind_problem(url, credential.name, credential.kind) if url else None
        if problem is not None:
            self.add_error("credential", problem)
        product_id = getattr(given.get("product"), "pk", None) or self.instance.product_id
        if product_id is None:
            return
        if not credential.products.filter(pk=product_id).exists():
            self.add_error(
                "credential",
                f"{credential.name} is not for this product. Add it to the credential's products.",
            )

    def save(self, commit: bool = True) -> Source:
        """Store the source, and have it looked at at once."""
        before = str(self.initial.get("url", ""))
        if before and not same_repository(before, self.instance.url):
            reset_polling(self.instance)
        poll_at_once(self.instance)
        source: Source = super().save(commit)
        return source


class SecureURLField(forms.URLField):
    """An address of the web; one without a scheme is meant to begin with https."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"assume_scheme": "https", **options})


class ConfigurationForm(forms.ModelForm[Configuration]):
    """The site's configuration, whose limits must leave room for its defaults."""

    class Meta:
        model = Configuration
        fields = "__all__"  # noqa: DJ007  # the row is there to be edited, all of it
        field_classes = {"public_url": SecureURLField}

    def clean(self) -> dict[str, Any]:
        """Check the default timeout against the longest."""
        given = super().clean() or {}
        default, longest = given.get("default_timeout_s"), given.get("max_timeout_s")
        if default is not None and longest is not None and default > longest:
            self.add_error(
                "max_timeout_s", "The longest timeout must be at least the default timeout."
            )
        return given
