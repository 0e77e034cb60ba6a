"""The API of the whole site, collected from the apps."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, re_path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import DefaultRouter

import belts.api.urls
import products.api.urls
import runners.api.urls
import runs.api.urls
from conveyor_site.api.views import ApiRoot, DocsView, NothingHere

_router = DefaultRouter(use_regex_path=False)
_router.APIRootView = ApiRoot
_router.include_format_suffixes = False
for _app in (products, belts, runs, runners):
    for _prefix, _viewset in _app.api.urls.VIEWSETS.items():
        _router.register(_prefix, _viewset, basename=f"api-{_prefix}")

urlpatterns: list[URLPattern | URLResolver] = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", DocsView.as_view(), name="docs"),
    *runs.api.urls.urlpatterns,
    *runners.api.urls.urlpatterns,
    *_router.urls,
    re_path("", NothingHere.as_view()),
]
