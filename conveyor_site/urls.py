"""Root of all paths."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

import runners.urls
import runs.urls
from conveyor_site.health import healthz, readyz
from conveyor_site.metrics import MetricsView
from conveyor_site.views import Home, Login, belt_file_schema, page_of_row

admin.site.site_header = admin.site.site_title = "Conveyor"
admin.site.index_title = "Configuration and records"

# One way in for pages and admin, so that guessers of passwords are kept waiting at both.
_login = RedirectView.as_view(pattern_name="login", query_string=True)
_icon = RedirectView.as_view(url=f"{settings.STATIC_URL}conveyor/icon.svg")

urlpatterns = [
    path("", Home.as_view(), name="home"),
    path("login/", Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("favicon.ico", _icon, name="icon"),
    path("admin/login/", _login),
    path("admin/r/<path:content_type_id>/<path:object_id>/", admin.site.admin_view(page_of_row)),
    path("admin/", admin.site.urls),
    path("api/v1/", include("conveyor_site.api_urls")),
    path("schema", belt_file_schema, name="belt-file-schema"),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", MetricsView.as_view(), name="metrics"),
    *runs.urls.urlpatterns,
    *runners.urls.urlpatterns,
]

handler400 = "conveyor_site.views.bad_request"
handler403 = "conveyor_site.views.forbidden"
handler404 = "conveyor_site.views.not_found"
handler500 = "conveyor_site.views.server_error"
