"""Tokens without products have reached all products so far: from now on they say so."""

from django.db import migrations


def state_all_products(apps, schema_editor):
    tokens = apps.get_model("products", "ApiToken").objects
    tokens.filter(products__isnull=True).update(all_products=True)


def refuse_tokens_of_no_product(apps, schema_editor):
    """Raise ValueError where the version before would read a token of no product as one of all."""
    tokens = apps.get_model("products", "ApiToken").objects
    names = list(
        tokens.filter(products__isnull=True, all_products=False).values_list("name", flat=True)
    )
    if names:
        raise ValueError(
            f"The tokens {', '.join(names)} reach no product. The version before would let them reach "
            "every product. Delete them in the admin first."
        )


class Migration(migrations.Migration):
    dependencies = [
        ("products", "0004_explicit_all_products"),
    ]

    operations = [migrations.RunPython(state_all_products, refuse_tokens_of_no_product)]
