"""Fleets say explicitly whether all products may use them: an empty list is no such statement."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("products", "0003_words_of_the_configuration"),
        ("runners", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="fleet",
            name="all_products",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Every product may use it. Else only the products below may, and none if there are none.",
            ),
        ),
        migrations.AlterField(
            model_name="fleet",
            name="products",
            field=models.ManyToManyField(
                blank=True,
                help_text="The only products that may use it.",
                related_name="fleets",
                to="products.product",
            ),
        ),
    ]
