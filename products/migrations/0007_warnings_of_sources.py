"""A source keeps what the last poll passed over."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("products", "0006_open_kinds_of_the_outbox"),
    ]

    operations = [
        migrations.AddField(
            model_name="source",
            name="warning",
            field=models.TextField(
                blank=True,
                db_default="",
                default="",
                help_text="What the last poll passed over, and why.",
            ),
        ),
    ]
