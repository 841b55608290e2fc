"""The pages of projects. Everyone sees the open ones and their own, admins change them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.accounts.models import User
from finetune_portal.accounts.reauthentication import recent_sign_in_required
from finetune_portal.projects import access, services
from finetune_portal.projects.forms import NAME_TAKEN, MemberForm, ProjectForm
from finetune_portal.projects.models import Project
from finetune_portal.web.forms import reads_forms
from finetune_portal.web.guards import admin_only
from finetune_portal.web.http import action_messages


@require_safe
def project_list(request: PortalRequest) -> HttpResponse:
    return render(request, "projects/list.html", _list_context(request.user, ProjectForm()))


@require_POST
@reads_forms(ProjectForm)
@admin_only
def add(request: PortalRequest) -> HttpResponse:
    form = ProjectForm(request.POST)
    if form.is_valid():
        try:
            project = services.add(form.cleaned_data["name"], actor=request.user)
            return redirect("projects:detail", pk=project.pk)
        except services.NameTakenError:
            form.add_error("name", NAME_TAKEN)
    return render(request, "projects/list.html", _list_context(request.user, form), status=422)


@require_safe
def project_detail(request: PortalRequest, pk: int) -> HttpResponse:
    project = access.project_to_see(request.user, pk)
    return render(request, "projects/detail.html", _detail_context(project))


@require_POST
@reads_forms(ProjectForm)
@admin_only
def rename(request: PortalRequest, pk: int) -> HttpResponse:
    project, form = access.project_to_see(request.user, pk), ProjectForm(request.POST)
    if form.is_valid():
        try:
            with action_messages(request):
                services.rename(project, form.cleaned_data["name"], actor=request.user)
            return _back_to(project)
        except services.NameTakenError:
            form.add_error("name", NAME_TAKEN)
    return render(request, "projects/detail.html", _detail_context(project, name_form=form), status=422)


@require_POST
@reads_forms(MemberForm)
@admin_only
@recent_sign_in_required
def add_member(request: PortalRequest, pk: int) -> HttpResponse:
    project = access.project_to_see(request.user, pk)
    form = MemberForm(request.POST, project=project)
    if not form.is_valid():
        return render(request, "projects/detail.html", _detail_context(project, member_form=form), status=422)
    person = form.cleaned_data["person"]
    with action_messages(request, f"{person} is a member now."):
        services.add_member(project, person, actor=request.user)
    return _back_to(project)


@require_POST
@admin_only
def make_private(request: PortalRequest, pk: int) -> HttpResponse:
    project = access.project_to_see(request.user, pk)
    with action_messages(request, f"“{project}” is private now: only its members and admins see it."):
        services.set_private(project, private=True, actor=request.user)
    return _back_to(project)


@require_POST
@admin_only
@recent_sign_in_required
def make_open(request: PortalRequest, pk: int) -> HttpResponse:
    project = access.project_to_see(request.user, pk)
    with action_messages(request, f"“{project}” is open now: everyone on the team sees it."):
        services.set_private(project, private=False, actor=request.user)
    return _back_to(project)


@require_POST
@admin_only
def remove_member(request: PortalRequest, pk: int) -> HttpResponse:
    member = access.membership(request.user, pk)
    services.remove_member(member, actor=request.user)
    messages.success(request, f"{member.user} is no longer a member.")
    return _back_to(member.project)


def _back_to(project: Project) -> HttpResponse:
    """To its page, or to the list where somebody deleted it meanwhile."""
    is_there = Project.objects.filter(pk=project.pk).exists()
    return redirect("projects:detail", pk=project.pk) if is_there else redirect("projects:list")


def _list_context(user: User, form: ProjectForm) -> dict[str, Any]:
    projects = access.visible(user).annotate(member_count=Count("members")).order_by("folded_name")
    return {"projects": projects, "form": form}


def _detail_context(project: Project, **forms: Any) -> dict[str, Any]:
    members = project.members.select_related("user").order_by("user__name", "user__pk")
    name_form, member_form = ProjectForm({"name": project.name}), MemberForm(project=project)
    context = {"project": project, "members": members, "name_form": name_form, "member_form": member_form}
    return {**context, **forms}
