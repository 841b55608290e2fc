"""The connections on the settings page: everyone sees them, admins add, test and change them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from finetune_portal.accounts.http import PortalRequest
from finetune_portal.accounts.reauthentication import recent_sign_in_required
from finetune_portal.connections import access, closing, declared, services
from finetune_portal.connections.forms import (
    AddForm,
    AdminKeyForm,
    KeyForm,
    RenameForm,
    key_hint,
    looks_like_key,
)
from finetune_portal.connections.models import Connection
from finetune_portal.providers.contract import Money
from finetune_portal.web.forms import reads_forms
from finetune_portal.web.guards import admin_only
from finetune_portal.web.http import action_messages, fragment_or_redirect, redirect_to
from finetune_portal.web.templatetags.portal import credits_text

NOT_TESTED = "Whether new jobs are taken was not tested: only a job tells."


@require_safe
def connections(request: PortalRequest) -> HttpResponse:
    services.built_in()
    return render(request, "connections/list.html", _page_context(AddForm()))


@require_POST
@reads_forms(AddForm)
@admin_only
@recent_sign_in_required
def add(request: PortalRequest) -> HttpResponse:
    form = AddForm(request.POST)
    if not form.is_valid():
        template = "connections/_form.html" if request.htmx else "connections/list.html"
        return render(request, template, _page_context(form), status=422)
    added = services.add(actor=request.user, **form.account)
    _warn_of_odd_key(request, added, form.cleaned_data["key"])
    with action_messages(request, f"“{added}” is added. Its key works."):
        services.test(added, actor=request.user)
    return redirect_to(request, _page())


@require_POST
@admin_only
def test(request: PortalRequest, pk: int) -> HttpResponse:
    """Prove the keys by calls that cost nothing."""
    connection = access.connection_to_change(pk)
    with action_messages(request):
        balance = services.test(connection, actor=request.user)
        messages.success(request, _test_text(connection, balance))
    return _card(request, pk)


@require_POST
@admin_only
def try_now(request: PortalRequest, pk: int) -> HttpResponse:
    """Send the next job to a closed provider without waiting for the end of the pause."""
    connection = access.connection_to_change(pk)
    with action_messages(
        request, "The next waiting job is sent now. If none waits, the next one is the try."
    ):
        closing.probe_now(connection, actor=request.user)
    back_to = request.POST.get("next", "")
    is_own = back_to.startswith("/") and url_has_allowed_host_and_scheme(back_to, None)
    return redirect_to(request, back_to if is_own else _page())


@require_POST
@admin_only
@recent_sign_in_required
def change_key(request: PortalRequest, pk: int) -> HttpResponse:
    connection = access.connection_to_change(pk)
    form = KeyForm(request.POST, connection=connection)
    if not form.is_valid():
        return _card(request, pk, key_form=form)
    with action_messages(request, "The new key is in use. Test it, then revoke the old one."):
        services.change_key(connection, form.cleaned_data["key"], actor=request.user)
        _warn_of_odd_key(request, connection, form.cleaned_data["key"])
    return _card(request, pk)


@require_POST
@admin_only
@recent_sign_in_required
def change_admin_key(request: PortalRequest, pk: int) -> HttpResponse:
    connection = access.connection_to_change(pk)
    if "remove" in request.POST:
        with action_messages(request, "The admin key is removed."):
            services.change_admin_key(connection, "", actor=request.user)
        return _card(request, pk)
    form = AdminKeyForm(request.POST, connection=connection)
    if not form.is_valid():
        return _card(request, pk, admin_key_form=form)
    with action_messages(request, "The new admin key is in use. Test the connection to prove it."):
        services.change_admin_key(connection, form.cleaned_data["admin_key"], actor=request.user)
    return _card(request, pk)


@require_POST
@reads_forms(RenameForm)
@admin_only
def rename(request: PortalRequest, pk: int) -> HttpResponse:
    connection = access.connection_to_change(pk)
    form = RenameForm(request.POST, connection=connection)
    if not form.is_valid():
        return _card(request, pk, rename_form=form)
    services.rename(connection, form.cleaned_data["name"], actor=request.user)
    return _card(request, pk)


@require_POST
@admin_only
@recent_sign_in_required
def make_default(request: PortalRequest, pk: int) -> HttpResponse:
    connection = access.connection_to_change(pk)
    with action_messages(
        request, f"New jobs go to “{connection}” unless someone chooses another connection."
    ):
        services.make_default(connection, actor=request.user)
    return redirect_to(request, _page())


@require_POST
@admin_only
@recent_sign_in_required
def switch(request: PortalRequest, pk: int) -> HttpResponse:
    connection, on = access.connection_to_change(pk), request.POST.get("on") == "on"
    state = "active again" if on else "deactivated: the portal sends nothing there"
    with action_messages(request, f"“{connection}” is {state}."):
        services.switch(connection, on=on, actor=request.user)
    return redirect_to(request, _page())


def _card(request: PortalRequest, pk: int, **forms: Any) -> HttpResponse:
    """The card of a connection; with an invalid form, its errors."""
    connection = access.connection_to_change(pk)
    _with_forms(connection, **forms)
    if forms:
        context = {"connection": connection} | ({} if request.htmx else _page_context(AddForm(), connection))
        template = "connections/_card.html" if request.htmx else "connections/list.html"
        return render(request, template, context, status=422)
    return fragment_or_redirect(
        request, "connections/_card.html", {"connection": connection}, back_to=_page()
    )


def _warn_of_odd_key(request: PortalRequest, connection: Connection, key: str) -> None:
    """The key is kept as it is: its form is known from third parties only."""
    if not looks_like_key(connection, key):
        messages.warning(request, f"The key does not look like one of this provider. {key_hint(connection)}")


def _test_text(connection: Connection, balance: Money | None) -> str:
    sentences = ["The key works."]
    if balance and declared.shows_balance(connection) and not connection.is_free:
        sentences.append(f"The balance is {credits_text(float(balance.amount))} credits.")
    elif balance and not declared.shows_balance(connection):
        amount = f"{credits_text(float(balance.amount))} {balance.currency}"
        sentences = [f"Both keys work. The balance is {amount}."]
    if connection.speaks_segmind:
        sentences.append(NOT_TESTED)
    return " ".join(sentences)


def _page() -> str:
    return reverse("connections:list")


def _page_context(form: AddForm, invalid: Connection | None = None) -> dict[str, Any]:
    rows = [_with_forms(row) for row in Connection.objects.order_by("pk")]
    rows = [invalid if invalid and invalid.pk == row.pk else row for row in rows]
    return {"connections": rows, "form": form}


def _with_forms(connection: Connection, **forms: Any) -> Connection:
    initial = {"name": connection.name}
    connection.key_form = forms.get("key_form") or KeyForm(connection=connection)  # type: ignore[attr-defined]
    connection.rename_form = forms.get("rename_form") or RenameForm(  # type: ignore[attr-defined]
        initial=initial, connection=connection
    )
    connection.admin_key_form = (  # type: ignore[attr-defined]
        forms.get("admin_key_form") or AdminKeyForm(connection=connection)
    )
    connection.is_admin_key_lost = services.is_admin_key_lost(connection)  # type: ignore[attr-defined]
    connection.is_chosen = connection.pk == services.default().pk  # type: ignore[attr-defined]
    return connection
