"""Who may call which URL. A view says so with one decorator; a view that says nothing is closed.

The decorators only mark; `init_app` installs the one place that asks.
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
    """Anybody may call this."""
    return _mark(view, lambda: None)


def staff_required(role: Role = Role.VIEWER, *, fresh: bool = False) -> Callable[[View], View]:
    """Only staff of at least this role may call this; `fresh`, if they signed in lately."""

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
    """Anybody signed in with an account may call this."""

    def guard() -> None:
        if not current_user.is_authenticated:
            raise SignInRequired

    return _mark(view, guard)


def fresh_sign_in_required(view: View) -> View:
    """Only whoever signed in a short while ago may call this: it changes how they sign in."""

    def guard() -> None:
        if not current_user.is_authenticated:
            raise SignInRequired
        if not is_sign_in_fresh():
            raise SignInAgain

    return _mark(view, guard)


def invitee_required(view: View) -> View:
    """Only whoever a code let in may call this."""

    def guard() -> None:
        if current_invitee() is None:
            raise CodeRequired

    return _mark(view, guard)


def upload_allowed(largest: int) -> Callable[[View], View]:
    """Bodies of this view may have up to `largest` bytes; `http/headers.py` holds them to it."""

    def mark(view: View) -> View:
        view.largest_body = largest  # type: ignore[attr-defined]
        return view

    return mark


def bearer_required(scope: Scope) -> Callable[[View], View]:
    """Only a program with a token of at least this scope may call this."""

    def guard() -> None:
        kind, _, token = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if kind.lower() != "bearer":
            raise SignInRequired
        g.bearer = api_tokens.bearer(token.strip(), address=request.remote_addr or "", now=utcnow())
        if not g.bearer.may(scope):
            raise NotAllowed("This token may not do that.")

    return lambda view: _mark(view, guard, scope)


def api_token_required(scope: Scope) -> Callable[[View], View]:
    """Only a program with an API token of this scope may call this.

    It stands in `Authorization`, with or without `Bearer`. Any other is as good as none here: the
    dialect has no words for what is beyond a token.
    """

    def guard() -> None:
        address = request.remote_addr or ""
        g.bearer = api_tokens.api_token(shown_token(), address=address, now=utcnow())
        if not g.bearer.may(scope):
            raise SignInRequired

    return lambda view: _mark(view, guard, scope)


def token_required(kind: Kind) -> Callable[[View], View]:
    """Only who signed in for a token of this kind may call; `Bearer` may stand before it."""

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
    """The session a token of this request names; only behind `token_required`."""
    found: Living = g.token_session
    return found


def current_bearer() -> Bearer:
    """Who presents the token of this request; only behind `bearer_required`."""
    found: Bearer = g.bearer
    return found


def current_account() -> Account:
    """The account that is signed in; only behind a guard that asks for one."""
    account = current_user.account
    assert isinstance(account, Account)  # noqa: S101 - a guard stands before every caller
    return account


def account_session() -> Session:
    """The session of the account that is signed in; only behind a guard that asks for one."""
    signed_in = current_session()
    assert signed_in is not None  # noqa: S101 - a guard stands before every caller
    return signed_in


def current_session() -> Session | None:
    """The session of the account that is signed in, if any."""
    return current_user._get_current_object() if current_user.is_authenticated else None


def is_sign_in_fresh() -> bool:
    """Whether whoever is signed in did so a short while ago."""
    signed_in = current_session()
    return signed_in is not None and utcnow() - signed_in.created_at <= FRESH


def current_invitee() -> Session | None:
    """The session a code opened in this browser, if it lives."""
    if "invitee" not in g:
        known = session.get("invitee")
        g.invitee = sessions.find_invitee(UUID(known), now=utcnow()) if known else None
    found: Session | None = g.invitee
    return found


def init_app(app: Flask) -> None:
    """Ask the guard of every view before it runs, and let Flask-Login find sessions."""
    login_manager.init_app(app)
    # Its own processor asks the database at every template, also at the page that says it is away.
    app.context_processor(lambda: {"current_user": current_user})
    login_manager.user_loader(_load_staff)
    app.before_request(partial(_ask, app.view_functions))
    app.view_functions["static"] = public(app.view_functions["static"])


def guard_of(view: object) -> Callable[[], None] | None:
    """The guard a view was marked with."""
    return getattr(view, "guard", None)


def scope_of(view: object) -> Scope | None:
    """What an API token has to be good for to call a view; None where none is taken."""
    return getattr(view, "scope", None)


def _mark(view: View, guard: Callable[[], None], scope: Scope | None = None) -> View:
    view.guard, view.scope = guard, scope  # type: ignore[attr-defined]
    return view


def _ask(views: Mapping[str, object]) -> None:
    endpoint = request.endpoint
    if endpoint is None:  # no such URL: there is nothing to guard
        return
    guard = guard_of(views[endpoint])
    if guard is None:
        raise NotAllowed
    guard()


def _load_staff(id: str) -> Session | None:
    return sessions.find_staff(UUID(id), now=utcnow())
