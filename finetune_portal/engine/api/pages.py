"""The page at `/`, the health check, and the errors outside the endpoints."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from finetune_portal.engine import scenarios
from finetune_portal.engine.models import Job
from finetune_portal.engine.trainers.current import current_trainer


def home(request: HttpRequest) -> HttpResponse:
    return render(request, "engine/home.html", {"scenarios": scenarios.TABLE, "trainer": current_trainer()})


def healthz(request: HttpRequest) -> HttpResponse:
    Job.objects.exists()  # the database answers
    return JsonResponse({"status": "ok", "trainer": current_trainer().name})


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return JsonResponse({"error": "The request cannot be read."}, status=400)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return JsonResponse({"error": "There is nothing at this address."}, status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"error": "The engine failed. Its log says why."}, status=500)
