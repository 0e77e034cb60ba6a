from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('runners', '0003_fleets_of_all_products'),
    ]

    operations = [
        migrations.AddField(
            model_name='runner',
            name='trouble',
            field=models.TextField(blank=True, db_default='', default=''),
        ),
    ]
