"""Values on their way: outputs, who supplies them, and who consumed them."""

from __future__ import annotations

from django.db import models

from products.identifiers import uuid7
from products.names import NAME_MAX
from runs.models.attempt import Attempt
from runs.models.belt_run import BeltRun
from runs.models.job_run import JobRun


class Output(models.Model):
    """A named value that a job run handed on; stored with the move to succeeded."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    job_run = models.ForeignKey(JobRun, models.CASCADE, related_name="outputs")
    attempt = models.ForeignKey(
        Attempt, models.SET_NULL, null=True, blank=True, related_name="outputs"
    )
    name = models.CharField(max_length=100)
    type = models.CharField(max_length=20, default="String")
    value = models.TextField(blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["job_run", "name"]
        constraints = [
            models.UniqueConstraint(fields=["job_run", "name"], name="one_value_per_output"),
        ]

    def __str__(self) -> str:
        return f"{self.job_run}.{self.name}"


class Supplier(models.Model):
    """Which run supplies another product's outputs to a job run; frozen at creation.

    ``belt_run`` is null where no run could supply: the consumer ends as errored then. An empty
    ``job_name`` means the whole belt run.
    """

    class How(models.TextChoices):
        """By which rule the run was chosen."""

        CHAIN = "chain", "in this run's chain of causes"
        LATEST = "latest", "the latest that fits"
        NONE = "none", "no run fits"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    consumer = models.ForeignKey(JobRun, models.CASCADE, related_name="suppliers")
    product_name = models.CharField(max_length=NAME_MAX)
    belt_name = models.CharField(max_length=NAME_MAX)
    job_name = models.CharField(max_length=NAME_MAX, blank=True, default="")
    belt_run = models.ForeignKey(
        BeltRun, models.SET_NULL, null=True, blank=True, related_name="supplies"
    )
    how = models.CharField(max_length=10, choices=How.choices)
    note = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["consumer", "product_name", "belt_name", "job_name"],
                name="one_supplier_per_input",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product_name}.{self.belt_name} for {self.consumer}"


class Consumption(models.Model):
    """Lineage: a job run received a value. The value is copied: it outlives its producer.

    ``reference`` is the text in the file without braces; ``variable`` is what carried the value.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    consumer = models.ForeignKey(JobRun, models.CASCADE, related_name="consumed")
    output = models.ForeignKey(
        Output, models.SET_NULL, null=True, blank=True, related_name="consumptions"
    )
    reference = models.CharField(max_length=320)
    variable = models.CharField(max_length=100)
    supplier_label = models.CharField(max_length=350, help_text="The supplier, in words.")
    value = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["consumer", "variable"], name="one_value_per_variable"),
        ]

    def __str__(self) -> str:
        return f"{self.reference} → {self.consumer}"
