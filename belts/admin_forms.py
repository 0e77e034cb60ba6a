"""Forms of the admin for rows that are a definition: mistakes are told by the file's sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms

from belts.models import Belt, Job, Trigger
from belts.spec.problems import Problem
from products.models import Product


class PublishedForm(forms.ModelForm[Any]):
    """A row that is published when it is saved; ``problems`` is why the last try was refused."""

    problems: ClassVar[Sequence[Problem]] = ()

    def clean(self) -> dict[str, Any] | None:
        """Return the values; raises ValidationError with a sentence for each problem."""
        values = super().clean()
        if self.problems:
            raise forms.ValidationError([sentence(each) for each in self.problems])
        return values


class ProductForm(PublishedForm):
    """A product, whose name and description are part of its definition."""

    class Meta:
        model = Product
        fields = ["name", "description"]


class BeltForm(PublishedForm):
    """A belt of a product that the admin manages."""

    class Meta:
        model = Belt
        fields = ["product", "name", "position", "description", "env", "downstreams"]

    def clean_product(self) -> Product:
        """Return the product unless its file manages it."""
        return unless_of_a_file(self.cleaned_data["product"])


class JobForm(PublishedForm):
    """A job of such a product."""

    class Meta:
        model = Job
        fields = "__all__"  # noqa: DJ007  # a job is all that its row says

    def clean_belt(self) -> Belt:
        """Return the belt unless a file manages it."""
        belt: Belt = self.cleaned_data["belt"]
        unless_of_a_file(belt.product)
        return belt


class TriggerForm(PublishedForm):
    """A trigger of such a product."""

    class Meta:
        model = Trigger
        fields = ["product", "position", "kind", "details", "belts"]

    def clean_product(self) -> Product:
        """Return the product unless its file manages it."""
        return unless_of_a_file(self.cleaned_data["product"])


def unless_of_a_file(product: Product) -> Product:
    """Return the product; raises ValidationError if its file manages it."""
    if product.is_file_managed:
        raise forms.ValidationError(
            f"{product} is managed by its file: edit the file, or detach it."
        )
    return product


def sentence(problem: Problem) -> str:
    """Return a problem as one line of text, with its row and its way out."""
    where = f"{problem.path}: " if problem.path else ""
    return f"{where}{problem.message} {problem.hint}".strip()
