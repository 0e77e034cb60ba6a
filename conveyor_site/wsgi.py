"""WSGI application, for servers that speak it; live streams there end and are asked for again."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "conveyor_site.settings")

application = get_wsgi_application()
