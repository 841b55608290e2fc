"""The question of a form, which is asked before the form is sent.

A form asks by hidden fields: `question` (a sentence), `question_title`, `question_yes` and, where it is not
"Cancel", `question_no`. A script shows them in a dialog; where none runs, the server asks on its own page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from finetune_portal.web.http import is_sent_by_script, sender_url

QUESTION_FIELDS = ("question", "question_title", "question_yes", "question_no")


class ConfirmMiddleware:
    """Answers a form that has a question with a page that asks, until the person confirms."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Leave alone what comes without a CSRF token: those views read the body themselves.

        And what comes from people who are not signed in: no form of theirs asks.
        """
        if not request.user.is_authenticated:
            return None
        if request.method != "POST" or getattr(view, "csrf_exempt", False) or is_sent_by_script(request):
            return None
        if "question" not in request.POST or request.POST.get("confirmed") == "on":
            return None
        return _ask(request)


def _ask(request: HttpRequest) -> HttpResponse:
    question = {name: request.POST.get(name, "") for name in QUESTION_FIELDS}
    names = [name for name in request.POST if name not in (*QUESTION_FIELDS, "csrfmiddlewaretoken")]
    fields = [(name, value) for name in names for value in request.POST.getlist(name)]
    context = {**question, "fields": fields, "files": list(request.FILES), "back_to": sender_url(request)}
    return render(request, "confirm.html", context)
