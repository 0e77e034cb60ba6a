"""The kind of an outbox row is open: a kind is known where it has a handler."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("products", "0005_tokens_of_all_products"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="outboxrow",
            name="outbox_kind_known",
        ),
        migrations.AlterField(
            model_name="outboxrow",
            name="kind",
            field=models.CharField(max_length=40),
        ),
    ]
