"""The home page, the login, the schema of the belt file, and the pages of errors."""

from __future__ import annotations

import sys
from typing import Any

from django.contrib.auth.views import LoginView
from django.contrib.contenttypes.views import shortcut
from django.core.exceptions import DisallowedHost, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from belts.commit_files import broken_files
from belts.spec.schema import json_schema
from conveyor_site.api_errors import DATABASE_DOWN, DATABASE_ERRORS, RETRY_AFTER_S, body
from conveyor_site.null_characters import NullCharacterError
from conveyor_site.throttle import LoginThrottle
from products.models import Product
from products.pages import Page
from runners.models import Runner
from runners.presence import runners_with_state
from runners.unserved import unserved_queues
from runs.chains import newest_chains
from runs.models import BeltRun, JobRun
from runs.queue_warnings import SILENT_FOR
from runs.states import BELT_FINISHED, BeltRunState, JobRunState

_RUNNING = 20
_CHAINS = 20
_PRODUCTS = 60
_QUEUES = 50
_UNFINISHED = sorted(set(BeltRunState) - BELT_FINISHED)


class Home(Page):
    """Running and recent belt runs, and warnings."""

    template_name = "conveyor_site/home.html"

    def get_context_data(self, **path: Any) -> dict[str, Any]:
        """Return what the page shows."""
        user = self.request.user
        visible = BeltRun.objects.visible_to(user).with_names()
        products = Product.objects.visible_to(user).select_related("source")
        current = products.filter(archived_at__isnull=True).order_by("name")
        states = list(runners_with_state().values_list("state", "slots"))
        return super().get_context_data(
            running=visible.filter(state__in=_UNFINISHED).order_by("-id")[:_RUNNING],
            chains=newest_chains(visible, most=_CHAINS),
            products=list(current[: _PRODUCTS + 1])[:_PRODUCTS],
            troubled=current.exclude(source__error="").filter(source__isnull=False)[:10],
            broken=broken_files(current).select_related("product")[:10],
            unserved=_unserved(JobRun.objects.visible_to(user)),
            online=[slots for state, slots in states if state == Runner.State.ONLINE],
            has_runners=bool(states),
            **path,
        )


def _unserved(job_runs: QuerySet[Any]) -> list[str]:
    """Return a sentence for each queue without a runner in which a job run has waited long."""
    waiting = job_runs.filter(state=JobRunState.QUEUED, queued_at__lt=timezone.now() - SILENT_FOR)
    wanted = waiting.order_by("queue").values_list("queue", "protocol").distinct()[:_QUEUES]
    return sorted(set(unserved_queues(set(wanted)).values()))[:10]


class Login(LoginView):
    """The login; too many wrong passwords for an account from an address delay it."""

    template_name = "conveyor_site/login.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Ask for name and password, unless a login with access exists."""
        asks_for_admin = self.get_redirect_url().startswith(reverse("admin:index"))
        if request.user.is_authenticated and (request.user.is_staff or not asks_for_admin):
            return HttpResponseRedirect(self.get_success_url())
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Log in; answers 429 while logins to the account are delayed."""
        throttle = LoginThrottle(request.POST.get("username", ""), request.META["REMOTE_ADDR"])
        if not throttle.admits():
            form = self.get_form_class()(request)
            context = self.get_context_data(form=form, closed=throttle.sentence)
            return self.render_to_response(context, status=429)
        response = super().post(request, *args, **kwargs)
        # Not by request.user: a user who is logged in may guess the password of another account.
        if isinstance(response, HttpResponseRedirect):
            throttle.forgive()
        return response


def page_of_row(request: HttpRequest, content_type_id: str, object_id: str) -> HttpResponse:
    """Redirect from a form of the admin to the page of its row; raises Http404 for an odd id."""
    try:
        return shortcut(request, content_type_id, object_id)
    except ValidationError as error:
        raise Http404("There is no row with this id.") from error


@require_safe
def belt_file_schema(request: HttpRequest) -> JsonResponse:
    """Return the JSON Schema of ``.conveyor.yml``, which editors load."""
    response = JsonResponse(json_schema(), json_dumps_params={"indent": 2})
    response["Content-Type"] = "application/schema+json"
    response["Access-Control-Allow-Origin"] = "*"
    response["Cache-Control"] = "public, max-age=3600"
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400; for an unknown host name, with the setting that adds it."""
    sentence = "The request is malformed."
    if isinstance(exception, DisallowedHost):
        sentence = (
            "The site is not configured for this host name. Use its own address, or ask its "
            "operator to add the name to CONVEYOR_ALLOWED_HOSTS."
        )
    elif isinstance(exception, NullCharacterError):
        sentence = str(exception)
    return _error(request, 400, sentence, code="request.invalid")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403 with the reason of the view, if it gave one."""
    reason = str(exception) or "You may not do this."
    return _error(request, 403, reason, code="auth.forbidden")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form of another site, or to an expired one."""
    sentence = "The form has expired. Go back, reload the page and send the form again."
    return _error(request, 403, sentence, code="auth.csrf")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404 with the sentence of the view, if it gave one."""
    given = exception.args[0] if exception.args and isinstance(exception.args[0], str) else ""
    sentence = "This page does not exist, or it is not visible to you."
    if request.path.startswith("/api/"):
        sentence = f"There is nothing at {request.path}. The API starts at /api/v1/."
    sentence = given or sentence
    return _error(request, 404, sentence, code="not-found")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 503 when the database failed, else 500; nothing here needs the database."""
    if isinstance(sys.exc_info()[1], DATABASE_ERRORS):
        response = _error(request, 503, DATABASE_DOWN, code="database.unavailable")
        response["Retry-After"] = str(RETRY_AFTER_S)
        return response
    sentence = "Conveyor failed to answer. Its log has the error. Running jobs continue."
    return _error(request, 500, sentence, code="internal")


def _error(request: HttpRequest, status: int, sentence: str, *, code: str) -> HttpResponse:
    if request.path.startswith("/api/"):
        return JsonResponse(body(code, sentence), status=status)
    context = {"status": status, "sentence": sentence}
    if status >= 500:
        return HttpResponse(render_to_string("conveyor_site/error.html", context), status=status)
    return render(request, "conveyor_site/error.html", context, status=status)
