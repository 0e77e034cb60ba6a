"""Files at commits say where they were read, so that another path is not answered from memory."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('belts', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='commitfile',
            name='path',
            field=models.CharField(db_default='.conveyor.yml', default='.conveyor.yml', help_text='Where the file was read in the repository.', max_length=500),
        ),
    ]
