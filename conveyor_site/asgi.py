"""ASGI application, served by uvicorn in production."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from conveyor_site.body_limit import BodyLimit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "conveyor_site.settings")

application = BodyLimit(get_asgi_application())
