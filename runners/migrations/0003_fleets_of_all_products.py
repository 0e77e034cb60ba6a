"""Fleets without products have worked for all products so far: from now on they say so."""

from django.db import migrations


def state_all_products(apps, schema_editor):
    fleets = apps.get_model("runners", "Fleet").objects
    fleets.filter(products__isnull=True).update(all_products=True)


def refuse_fleets_of_no_product(apps, schema_editor):
    """Raise ValueError where the version before would read a fleet of no product as one of all."""
    fleets = apps.get_model("runners", "Fleet").objects
    names = list(
        fleets.filter(products__isnull=True, all_products=False).values_list("name", flat=True)
    )
    if names:
        raise ValueError(
            f"The fleets {', '.join(names)} work for no product. The version before would let every "
            "product use them. Delete them in the admin first."
        )


class Migration(migrations.Migration):
    dependencies = [
        ("runners", "0002_explicit_all_products"),
    ]

    operations = [migrations.RunPython(state_all_products, refuse_fleets_of_no_product)]
