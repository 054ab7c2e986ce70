"""Access guards: each view names who may call it with one decorator, and is closed without one.

The decorators only mark views; the hook that `init_app` installs enforces them.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import TypeVar
from uuid import UUID

from flask import Flask, g, request, session
from flask_login import current_user

from portal.clock import utcnow
from portal.domain.accounts import sessions, two_factor
from portal.domain.accounts.sessions import Living
from portal.domain.errors import (
    CodeRequired,
    NotAllowed,
    SecondFactorDue,
    SignInAgain,
    SignInRequired,
    TokenMissing,
)
from portal.domain.tokens import api_tokens, jwt
from portal.domain.tokens.api_tokens import Bearer
from portal.domain.tokens.jwt import Kind
from portal.extensions import login_manager
from portal.models import Account, Role, Scope, Session

FRESH = timedelta(minutes=15)

View = TypeVar("View", bound=Callable[..., object])


def public(view: View) -> View:
    """Anybody may call this view."""
    return _mark(view, lambda: None)


def staff_required(role: Role = Role.VIEWER, *, fresh: bool = False) -> Callable[[View], View]:
    """Only staff with at least this role may call this view; `fresh` requires a recent sign-in."""

    def guard() -> None:
        if not current_user.is_authenticated:
            raise SignInRequired
        if not current_account().may(role):
            raise NotAllowed
        if two_factor.are_due(current_account()):
            raise SecondFactorDue
        if fresh and not is_sign_in_fresh():
            raise SignInAgain

    return lambda view: _mark(view, guard)


def account_required(view: View) -> View:
    """Only signed-in accounts may call this view."""

    def guard() -> None:
        if not current_user.is_authenticated:
            raise SignInRequired

    return _mark(view, guard)


def fresh_sign_in_required(view: View) -> View:
    """Only a recent sign-in may call this view, since it changes how the account signs in."""

    def guard() -> None:
        if not current_user.is_authenticated:
            raise SignInRequired
        if not is_sign_in_fresh():
            raise SignInAgain

    return _mark(view, guard)


def invitee_required(view: View) -> View:
    """Only invitees who have redeemed a code may call this view."""

    def guard() -> None:
        if current_invitee() is None:
            raise CodeRequired

    return _mark(view, guard)


def upload_allowed(largest: int) -> Callable[[View], View]:
    """Accept bodies of up to `largest` bytes in this view; `http/headers.py` enforces the limit."""

    def mark(view: View) -> View:
        view.largest_body = largest  # type: ignore[attr-defined]
        return view

    return mark


def bearer_required(scope: Scope) -> Callable[[View], View]:
    """Only clients with a token of at least this scope may call this view."""

    def guard() -> None:
        kind, _, token = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if kind.lower() != "bearer":
            raise SignInRequired
        g.bearer = api_tokens.bearer(token.strip(), address=request.remote_addr or "", now=utcnow())
        if not g.bearer.may(scope):
            raise NotAllowed("This token may not do that.")

    return lambda view: _mark(view, guard, scope)


def api_token_required(scope: Scope) -> Callable[[View], View]:
    """Only clients with an API token of this scope may call this view.

    The token is in `Authorization`, with or without `Bearer`. A token with another scope is
    answered like a missing one, since the dialect has no error for insufficient scope.
    """

    def guard() -> None:
        address = request.remote_addr or ""
        g.bearer = api_tokens.api_token(shown_token(), address=address, now=utcnow())
        if not g.bearer.may(scope):
            raise SignInRequired

    return lambda view: _mark(view, guard, scope)


def token_required(kind: Kind) -> Callable[[View], View]:
    """Only clients with an access token of this kind may call this view; `Bearer` is optional."""

    def guard() -> None:
        g.token_session = jwt.session_of(shown_token(), kind, now=utcnow())

    return lambda view: _mark(view, guard)


def shown_token() -> str:
    """The token in `Authorization`, with or without `Bearer`; raises `TokenMissing`."""
    shown = request.headers.get("Authorization", "").strip()
    kind, _, token = shown.partition(" ")
    shown = token.strip() if kind.lower() == "bearer" else shown
    if not shown:
        raise TokenMissing
    return shown


def token_session() -> Living:
    """The session that the request's token names; only behind `token_required`."""
    found: Living = g.token_session
    return found


def current_bearer() -> Bearer:
    """The bearer of the request's token; only behind `bearer_required`."""
    found: Bearer = g.bearer
    return found


def current_account() -> Account:
    """The signed-in account; only behind a guard that requires one."""
    account = current_user.account
    assert isinstance(account, Account)  # noqa: S101 - every caller is behind a guard
    return account


def account_session() -> Session:
    """The session of the signed-in account; only behind a guard that requires one."""
    signed_in = current_session()
    assert signed_in is not None  # noqa: S101 - every caller is behind a guard
    return signed_in


def current_session() -> Session | None:
    """The session of the signed-in account, if any."""
    return current_user._get_current_object() if current_user.is_authenticated else None


def is_sign_in_fresh() -> bool:
    """Whether the current session signed in recently."""
    signed_in = current_session()
    return signed_in is not None and utcnow() - signed_in.created_at <= FRESH


def current_invitee() -> Session | None:
    """The live session that a code opened in this browser, if any."""
    if "invitee" not in g:
        known = session.get("invitee")
        g.invitee = sessions.find_invitee(UUID(known), now=utcnow()) if known else None
    found: Session | None = g.invitee
    return found


def init_app(app: Flask) -> None:
    """Enforce guards before every view, and let Flask-Login load sessions."""
    login_manager.init_app(app)
    # Flask-Login's own processor queries the database in every template, even in the error page
    # shown while the database is down.
    app.context_processor(lambda: {"current_user": current_user})
    login_manager.user_loader(_load_staff)
    app.before_request(partial(_ask, app.view_functions))
    app.view_functions["static"] = public(app.view_functions["static"])


def guard_of(view: object) -> Callable[[], None] | None:
    """The guard that a view is marked with."""
    return getattr(view, "guard", None)


def scope_of(view: object) -> Scope | None:
    """The API token scope that a view requires; None if it takes no API token."""
    return getattr(view, "scope", None)


def _mark(view: View, guard: Callable[[], None], scope: Scope | None = None) -> View:
    view.guard, view.scope = guard, scope  # type: ignore[attr-defined]
    return view


def _ask(views: Mapping[str, object]) -> None:
    endpoint = request.endpoint
    if endpoint is None:  # no such URL: nothing to guard
        return
    guard = guard_of(views[endpoint])
    if guard is None:
        raise NotAllowed
    guard()


def _load_staff(id: str) -> Session | None:
    return sessions.find_staff(UUID(id), now=utcnow())
