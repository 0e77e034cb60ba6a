"""Tokens say explicitly whether they reach all products: an empty list is no such statement."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("products", "0003_words_of_the_configuration"),
    ]

    operations = [
        migrations.AddField(
            model_name="apitoken",
            name="all_products",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="The token reaches every product that its user may see. Clear this to choose products below.",
            ),
        ),
        migrations.AlterField(
            model_name="apitoken",
            name="products",
            field=models.ManyToManyField(
                blank=True, help_text="The token reaches only these products.", to="products.product"
            ),
        ),
    ]
