"""Fewer and better indexes on what every job run writes.

Safe before and after a deploy: older processes read and write the same columns. Writers of job runs
wait while the indexes are made, about a second for each million of them.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('runs', '0001_initial'),
    ]

    operations = [
        migrations.AlterField(
            model_name='attempt',
            name='job_run',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='attempts', to='runs.jobrun'),
        ),
        migrations.AlterField(
            model_name='jobrun',
            name='belt_run',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='job_runs', to='runs.beltrun'),
        ),
        migrations.AlterField(
            model_name='jobrun',
            name='reused_from',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='reuses', to='runs.jobrun'),
        ),
        migrations.AlterField(
            model_name='logchunk',
            name='attempt',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='log_chunks', to='runs.attempt'),
        ),
        migrations.AddIndex(
            model_name='jobrun',
            index=models.Index(fields=['state', 'queue', 'available_at', 'id'], name='job_run_oldest'),
        ),
        migrations.AddIndex(
            model_name='jobrun',
            index=models.Index(fields=['belt_run', 'state'], name='job_run_of_belt_run'),
        ),
        migrations.AddIndex(
            model_name='jobrun',
            index=models.Index(condition=models.Q(('reused_from__isnull', False)), fields=['reused_from'], name='job_run_reused'),
        ),
        migrations.RemoveIndex(
            model_name='jobrun',
            name='job_run_claimable',
        ),
    ]
