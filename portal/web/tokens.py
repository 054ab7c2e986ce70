"""API tokens of one's own account: made, shown once, revoked."""

from datetime import timedelta
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.clock import utcnow
from portal.domain.tokens import api_tokens
from portal.forms.tokens import TokenForm
from portal.http.device import origin
from portal.http.guards import current_account, is_sign_in_fresh, staff_required
from portal.models import Role, Scope

blueprint = Blueprint("tokens", __name__, url_prefix="/admin/tokens")


@blueprint.get("")
@staff_required(Role.ADMIN)
def index() -> str:
    """List one's tokens, with the form for another."""
    return _page(TokenForm(formdata=None))


@blueprint.post("")
@staff_required(Role.ADMIN, fresh=True)
def create() -> ResponseReturnValue:
    """Make a token, after a fresh sign-in. Only this response ever shows it."""
    form, now = TokenForm(), utcnow()
    if not form.validate_on_submit():
        return _page(form), 422
    _, token = api_tokens.create_api_token(
        by=current_account(),
        name=form.name.data or "",
        scope=Scope(form.scope.data),
        expires_at=now + timedelta(days=form.days.data) if form.days.data else None,
        origin=origin(),
        now=now,
    )
    return _page(TokenForm(formdata=None), token=token), 201


@blueprint.post("/<uuid:id>/revocation")
@staff_required(Role.ADMIN)
def revoke(id: UUID) -> ResponseReturnValue:
    """Revoke a token."""
    api_tokens.revoke_api_token(id, by=current_account(), origin=origin(), now=utcnow())
    flash("Revoked. Programs that use it are refused from now on.")
    return redirect(url_for("tokens.index"), 303)


def _page(form: TokenForm, token: str | None = None) -> str:
    mine = api_tokens.api_tokens_of(current_account())
    return render_template(
        "tokens/index.html",
        form=form,
        tokens=mine,
        token=token,
        may_make=is_sign_in_fresh(),
        now=utcnow(),
    )
