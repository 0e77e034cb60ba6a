"""Forms of the admin for the rows of a definition; their errors are those of a belt file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django import forms

from belts.admin_problems import (
    JOB_FIELDS,
    at_field,
    field_of,
    needs_a_job,
    rest_of,
    sentence,
)
from belts.models import Belt, Job, Trigger
from belts.spec.problems import Problem
from products.models import Product

_NOT_SAVED = "Not saved, since the definition could not be used. What is wrong stands below."
_NO_JOB = "This belt has no job. Give it one with “Add another Job”."
_JOB_NAME = re.compile(r"jobs-[0-9]+-name")


class PublishedForm(forms.ModelForm[Any]):
    """A row that is published when it is saved; ``problems`` is why the last try was refused."""

    problems: ClassVar[Sequence[Problem]] = ()
    named: ClassVar[Mapping[str, str]] = {}

    def clean(self) -> dict[str, Any] | None:
        """Return the values, after telling each problem at its field, others at the top."""
        values = super().clean()
        for problem in self.problems:
            self._tell(problem)
        return values

    def _tell(self, problem: Problem) -> None:
        rest = rest_of(problem, self.row())
        if rest is None:
            self.add_error(None, sentence(problem))
            return
        field = field_of(problem, rest, self.fields, self.named)
        self.add_error(field, at_field(problem, rest) if field else sentence(problem))

    def row(self) -> str:
        """Return how the paths of problems begin that are about the row."""
        raise NotImplementedError

    def given(self, name: str) -> Any:
        """Return the value of a field as it was given, or as it is where it cannot be given."""
        found = (self.cleaned_data or {}).get(name)
        return getattr(self.instance, name, "") if found is None else found


class ProductForm(PublishedForm):
    """A product, whose name and description are part of its definition."""

    named = {"product": "name"}

    def row(self) -> str:
        """Return nothing: what is about the product itself is called by its key alone."""
        return ""

    class Meta:
        model = Product
        fields = ["name", "description"]


class BeltForm(PublishedForm):
    """A belt of a product that the admin manages."""

    class Meta:
        model = Belt
        fields = ["product", "name", "position", "description", "env", "downstreams"]

    def clean(self) -> dict[str, Any] | None:
        """Return the values; what is about a job stands at that job, and here that it does."""
        values = super().clean()
        if self.problems and not self.errors:
            self.add_error(None, _NOT_SAVED)
        return values

    def row(self) -> str:
        """Return how the paths of problems begin that are about the belt."""
        return f"belt {self.given('name')}"

    def _tell(self, problem: Problem) -> None:
        rest = rest_of(problem, self.row()) or ""
        belt = self.given("name")
        jobs = {str(text).strip() for key, text in self.data.items() if _JOB_NAME.fullmatch(key)}
        of_jobs = any(rest_of(problem, f"job {belt}.{name}") is not None for name in jobs)
        if not of_jobs and not rest.startswith("jobs"):
            super()._tell(problem)

    def clean_product(self) -> Product:
        """Return the product unless its file manages it."""
        return unless_of_a_file(self.cleaned_data["product"])


class JobForm(PublishedForm):
    """A job of such a product."""

    named = JOB_FIELDS

    class Meta:
        model = Job
        fields = "__all__"  # noqa: DJ007  # a job is all that its row says

    def row(self) -> str:
        """Return how the paths of problems begin that are about the job."""
        return f"job {getattr(self.given('belt'), 'name', '')}.{self.given('name')}"

    def clean_belt(self) -> Belt:
        """Return the belt unless a file manages it."""
        belt: Belt = self.cleaned_data["belt"]
        unless_of_a_file(belt.product)
        return belt


class InlineJobForm(PublishedForm):
    """A job on the page of its belt; other forms show the errors of the belt."""

    named = JOB_FIELDS

    def __init__(self, *args: Any, belt: Belt, **options: Any) -> None:
        super().__init__(*args, **options)
        self._belt = belt

    class Meta:
        model = Job
        fields = "__all__"  # noqa: DJ007  # a job is all that its row says

    def row(self) -> str:
        """Return how the paths of problems begin that are about the job."""
        return f"job {self._belt.name}.{self.given('name')}"

    def _tell(self, problem: Problem) -> None:
        if rest_of(problem, self.row()) is not None:
            super()._tell(problem)


class JobFormSet(forms.BaseInlineFormSet[Job, Belt, forms.ModelForm[Job]]):
    """The jobs of a belt; it has at least one."""

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        """Return what each form is made with: the belt as it is filled in."""
        return {**super().get_form_kwargs(index), "belt": self.instance}

    def clean(self) -> None:
        """Raise ValidationError with what is wrong with the jobs as a whole."""
        super().clean()
        problems: Sequence[Problem] = getattr(self.form, "problems", ())
        found = [(each, rest_of(each, f"belt {self.instance.name}") or "") for each in problems]
        told = [
            _NO_JOB if needs_a_job(problem) else at_field(problem, rest)
            for problem, rest in found
            if rest.startswith("jobs")
        ]
        if told:
            raise forms.ValidationError(told)


class TriggerForm(PublishedForm):
    """A trigger of such a product."""

    class Meta:
        model = Trigger
        fields = ["product", "position", "kind", "details", "belts"]

    def row(self) -> str:
        """Return how the paths of problems begin that are about the trigger."""
        position = self.given("position") or 0
        before = Trigger.objects.filter(product=self.given("product"))
        earlier = before.filter(position__lt=position)
        if self.instance.pk and not self.instance._state.adding:
            earlier |= before.filter(position=position, id__lt=self.instance.pk)
            earlier = earlier.exclude(pk=self.instance.pk)
        else:
            earlier |= before.filter(position=position)
        return f"trigger {earlier.count() + 1}"

    def _tell(self, problem: Problem) -> None:
        rest = rest_of(problem, self.row())
        if rest is None or rest.startswith("belts"):
            super()._tell(problem)
        else:
            self.add_error("details", at_field(problem, rest))

    def clean_product(self) -> Product:
        """Return the product unless its file manages it."""
        return unless_of_a_file(self.cleaned_data["product"])

    def clean_belts(self) -> Any:
        """Return the names of belts; raises ValidationError for other JSON."""
        names = self.cleaned_data["belts"]
        named = [names] if isinstance(names, str) else names
        if not isinstance(named, list) or not all(isinstance(each, str) for each in named):
            raise forms.ValidationError('Write a list of names of belts, such as ["release"].')
        return named


def unless_of_a_file(product: Product) -> Product:
    """Return the product; raises ValidationError if its file manages it."""
    if product.is_file_managed:
        raise forms.ValidationError(
            f"{product} is managed by its file: edit the file, or detach it."
        )
    return product
