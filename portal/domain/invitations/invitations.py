"""Invitations as managed by staff: issue, reveal, revoke, extend. Each verb commits once, last.

What invitees do is in `redemptions.py`, search in `listing.py`, who may do what in
`permissions.py`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from portal.db import hot
from portal.db.hot import SESSION, Statement
from portal.db.types import new_id
from portal.domain.accounts import emails, sessions
from portal.domain.audit import audit
from portal.domain.client import NOBODY, Origin
from portal.domain.errors import (
    BadInput,
    CodeTaken,
    InvitationRevoked,
    KeyReused,
    NotAllowed,
    NotFound,
)
from portal.domain.invitations import codes, issued_counter, permissions
from portal.domain.mail import invitation_mail, outbox
from portal.extensions import db
from portal.models import Account, Invitation, IssueReceipt, Letter, Role, Status

NEW = timedelta(minutes=15)


class Terms(NamedTuple):
    """The terms of an invitation.

    `max_uses` None: any number of devices; `recipient`: an e-mail address, or `@domain`.
    """

    label: str = ""
    starts_at: datetime | None = None
    expires_at: datetime | None = None
    max_uses: int | None = 1
    recipient: str | None = None
    recipient_name: str | None = None
    language: str | None = None
    grants_role: Role | None = None


@dataclass(frozen=True)
class Once:
    """An `Idempotency-Key` and the request it was sent with."""

    key: str
    request: str


def issue(
    terms: Terms,
    *,
    by: Account,
    origin: Origin,
    now: datetime,
    own_code: str | None = None,
    mailed: bool = False,
    subject: str = "",
    message: str = "",
    once: Once | None = None,
) -> Invitation:
    """Issue one invitation with a generated or custom code; `mailed`, it goes to its recipient.
    `subject` and `message` are the issuer's text for the mail, with named fields. With `once`, a
    repeated request returns the invitation issued the first time.

    Raises `NotAllowed`, `BadInput` (it would never be open), `UnsuitableCode`, `CodeTaken`,
    `KeyReused`.
    """
    terms = checked(terms, by, now)
    if once and (before := _issued_before(by, once)):
        return before
    if own_code:
        _require_free(own_code)
    row = _new_row(own_code or codes.draw(), terms, by, now)
    invitation = hot.entity(Invitation, row)
    values = _issuing(row, by, origin, now)
    try:
        if once or mailed:
            SESSION.rows(_ISSUE, values)
            if once:
                _keep_receipt(by, once, invitation)
            if mailed:
                _queue_mail(invitation, subject, message, now)
            db.session.commit()
        else:  # nothing else is in the transaction
            hot.rows(_ISSUE, values)
    except IntegrityError as error:
        db.session.rollback()
        if once and (before := _issued_before(by, once)):
            return before
        raise CodeTaken from error
    audit.announce("invitation.issued")
    return invitation


def reveal(invitation: Invitation, *, by: Account, origin: Origin, now: datetime) -> str:
    """The code; audited. Raises as `permissions.require_may_act` does."""
    permissions.require_may_act(invitation, by=by)
    audit.record(
        "invitation.code_shown", now=now, origin=origin, actor=by.id, subject=invitation.id
    )
    db.session.commit()
    return code_of(invitation)


def new_code(invitation: Invitation, *, by: Account, now: datetime) -> str:
    """The code of an invitation just issued, for its issuer. Raises `NotAllowed`.

    Not audited, since issuing was; later it takes `reveal`.
    """
    is_new = now - invitation.created_at < NEW
    if not is_new or invitation.created_by_id != by.id or not invitation.is_within_reach_of(by):
        raise NotAllowed
    return code_of(invitation)


def code_of(invitation: Invitation) -> str:
    """The code in display form. The caller is responsible for who sees it."""
    return codes.grouped(codes.unseal(invitation.sealed, invitation.id))


def revoke(
    invitation: Invitation,
    *,
    by: Account,
    origin: Origin,
    now: datetime,
    end_sessions: bool = False,
) -> int:
    """Revoke for good; return how many sessions ended. Revoking twice changes nothing.

    Raises as `permissions.require_may_act` does.
    """
    permissions.require_may_act(invitation, by=by)
    revoked = db.session.execute(
        sa.update(Invitation)
        .where(Invitation.id == invitation.id, Invitation.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(Invitation.id)
    ).first()
    ended = sessions.revoke_admitted_by(invitation.id, now=now) if end_sessions else 0
    if revoked or ended:
        audit.record(
            "invitation.revoked",
            now=now,
            origin=origin,
            actor=by.id,
            subject=invitation.id,
            sessions_ended=ended,
        )
    db.session.commit()
    return ended


def extend(
    invitation: Invitation,
    *,
    expires_at: datetime | None,
    by: Account,
    origin: Origin,
    now: datetime,
) -> Invitation:
    """Set the expiry (None: never); return the updated invitation.

    Raises as `permissions.require_may_act` does, `InvitationRevoked`, `BadInput`.
    """
    permissions.require_may_act(invitation, by=by)
    if expires_at is not None and expires_at <= max(now, invitation.starts_at or now):
        raise BadInput("Choose a moment in the future, after the invitation opens.")
    extended = db.session.execute(
        sa.update(Invitation)
        .where(Invitation.id == invitation.id, Invitation.revoked_at.is_(None))
        .values(expires_at=expires_at, reminded_at=None)
        .returning(Invitation.id)
    ).first()
    if extended is None:
        raise InvitationRevoked
    audit.record(
        "invitation.extended",
        now=now,
        origin=origin,
        actor=by.id,
        subject=invitation.id,
        expires_at=expires_at and expires_at.isoformat(),
    )
    db.session.commit()
    return invitation


def count_staff_codes(issuer: Account, *, now: datetime) -> int:
    """How many open staff codes `issuer` has issued; `withdraw` revokes some or all of them."""
    giving_roles = sa.select(sa.func.count()).where(*_open_beyond((), issuer, now))
    return db.session.scalar(giving_roles) or 0


def withdraw(
    issuer: Account, *, by: Account | None = None, origin: Origin = NOBODY, now: datetime
) -> int:
    """Revoke the open codes whose role `issuer` may no longer grant; return how many.

    Takes part in the transaction that changed the issuer; each code gets its own event.
    """
    withdrawn = db.session.scalars(
        sa.update(Invitation)
        .where(*_open_beyond(issuer.grantable_roles, issuer, now))
        .values(revoked_at=now)
        .returning(Invitation.id)
        .execution_options(synchronize_session=False)
    ).all()
    actor = by.id if by else None
    for each in withdrawn:
        audit.record("invitation.revoked", now=now, origin=origin, actor=actor, subject=each)
    return len(withdrawn)


def get(id: UUID) -> Invitation:
    """One invitation with its issuer; raises `NotFound`."""
    invitation = db.session.scalars(
        sa.select(Invitation).where(Invitation.id == id).options(joinedload(Invitation.created_by))
    ).first()
    if invitation is None:
        raise NotFound
    return invitation


def get_within_reach(id: UUID, *, by: Account) -> Invitation:
    """One that `by` may act on; raises `NotFound`, and as `permissions.require_may_act` does."""
    invitation = get(id)
    permissions.require_may_act(invitation, by=by)
    return invitation


def checked(terms: Terms, by: Account, now: datetime) -> Terms:
    """The terms, normalised, if `by` may issue them and they can ever be open.

    Raises `NotAllowed`, `BadInput`.
    """
    require_may_change(by)
    if terms.grants_role and not (terms.grants_role.is_staff and by.may_grant(terms.grants_role)):
        raise NotAllowed("You cannot grant a role above your own.")
    if terms.expires_at is not None and terms.expires_at <= max(now, terms.starts_at or now):
        raise BadInput("An invitation must end after it opens, and after now.")
    if terms.max_uses is not None and terms.max_uses < 1:
        raise BadInput("An invitation admits at least one device.")
    if terms.recipient:
        return terms._replace(recipient=emails.normalise_recipient(terms.recipient))
    return terms


def require_may_change(by: Account) -> None:
    """Raise `NotAllowed` unless `by` may issue invitations."""
    if not by.may(Role.ADMIN):
        raise NotAllowed


_COLUMNS = Invitation.__table__.c.keys()
_ISSUE = Statement(sa.insert(Invitation), along=[issued_counter.COUNT, audit.INSERT])


def _issuing(row: dict[str, Any], by: Account, origin: Origin, now: datetime) -> dict[str, Any]:
    """The parameters of `_ISSUE`."""
    event = audit.event("invitation.issued", now=now, origin=origin, actor=by.id, subject=row["id"])
    return row | issued_counter.of(by) | event


def _open_beyond(
    roles: Collection[Role], issuer: Account, now: datetime
) -> list[sa.ColumnElement[bool]]:
    """The issuer's open codes that grant a role other than these."""
    return [
        Invitation.created_by_id == issuer.id,
        Invitation.grants_role.is_not(None),  # redundant, so that SQLite uses the partial index
        sa.not_(Invitation.grants_one_of(roles)),
        Invitation.status_at(now).in_((Status.ACTIVE, Status.SCHEDULED)),
    ]


def _require_free(own_code: str) -> None:
    """Look under replaced keys too, where digests differ and the unique index cannot tell."""
    codes.require_suitable(own_code)
    taken = sa.exists().where(Invitation.lookup.in_(codes.lookups(own_code)))
    if db.session.scalar(sa.select(taken)):
        raise CodeTaken


def _issued_before(by: Account, once: Once) -> Invitation | None:
    receipt = db.session.get(IssueReceipt, (by.id, _digest(once.key)))
    if receipt is None:
        return None
    if receipt.terms_digest != _digest(once.request):
        raise KeyReused
    return get_within_reach(receipt.invitation_id, by=by)


def _keep_receipt(by: Account, once: Once, invitation: Invitation) -> None:
    receipt = IssueReceipt(
        account_id=by.id,
        key_digest=_digest(once.key),
        terms_digest=_digest(once.request),
        invitation_id=invitation.id,
        created_at=invitation.created_at,
    )
    db.session.add(receipt)
    db.session.flush()


def _digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


def _queue_mail(invitation: Invitation, subject: str, message: str, now: datetime) -> None:
    if not invitation.can_be_mailed:
        raise BadInput("Only an invitation bound to one e-mail address can be mailed.")
    invitation_mail.check(subject, message)
    if subject or message:
        db.session.add(Letter(invitation_id=invitation.id, subject=subject, message=message))
    to = invitation.recipient or ""
    outbox.queue("invitation", to=to, about=invitation.id, now=now, id=invitation.id)


def _new_row(code: str, terms: Terms, by: Account, now: datetime) -> dict[str, Any]:
    row = new_id()
    return dict.fromkeys(_COLUMNS) | {
        "id": row,
        "lookup": codes.lookup(code),
        "sealed": codes.seal(code, row),
        "hint": codes.hint(code),
        "created_by_id": by.id,
        "created_at": now,
        "label": terms.label,
        "starts_at": terms.starts_at,
        "expires_at": terms.expires_at,
        "max_uses": terms.max_uses,
        "recipient": terms.recipient,
        "recipient_name": terms.recipient_name,
        "language": terms.language,
        "grants_role": terms.grants_role,
        "uses": 0,
    }
