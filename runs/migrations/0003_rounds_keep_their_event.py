"""The rounds of a run have the event of the first.

Safe before and after a deploy: older processes make no later round with an event. The new
constraint comes first, so that an event is unique at every moment.
"""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('runs', '0002_indexes_of_moves'),
    ]

    operations = [
        migrations.AddConstraint(
            model_name='beltrun',
            constraint=models.UniqueConstraint(fields=('event', 'belt', 'round'), name='one_round_per_event'),
        ),
        migrations.RemoveConstraint(
            model_name='beltrun',
            name='one_run_per_event',
        ),
    ]
