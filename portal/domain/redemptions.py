"""What invitees do with a code: check it, visit its link, redeem it.

A use is taken by one conditional UPDATE, together with a row in the ledger: whatever runs beside
it, an invitation never admits more devices than it should. The device's attempt counter, locked by
`attempts.reserve`, keeps two submits of one device apart; the ledger's unique key would refuse the
second in any case.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NoReturn
from uuid import UUID

import sqlalchemy as sa

from portal.config import settings
from portal.db import hot
from portal.db.hot import SESSION, Statement, Transaction
from portal.db.types import UTCDateTime, new_id
from portal.domain import attempts, audit, emails, guesses, offers, serials, sessions
from portal.domain.errors import (
    CodeRefused,
    InvitationExpired,
    InvitationUsed,
    LockedOut,
    PortalError,
    RecipientRequired,
    StaffInvitation,
    WrongRecipient,
)
from portal.domain.offers import Offer
from portal.domain.origin import Origin
from portal.extensions import db
from portal.models import Account, Invitation, Redemption, Role, Session, Status


def check(code: str, *, origin: Origin, now: datetime) -> Offer:
    """What `code` would redeem now. It costs no try.

    Raises `LockedOut`, or `CodeRefused` by its kind; an unknown code counts against the address.
    """
    end, redemption, offer = offers.look_up(code, origin=origin, now=now)
    attempts.require_over(end)
    if offer is None:
        attempts.miss(origin, now=now)
        db.session.commit()
        raise CodeRefused
    if redemption is None:
        offer.require_active()
    return offer


def visit(code: str, *, origin: Origin, now: datetime) -> Offer:
    """`check`, by following a link; the first visit is remembered. Raises as `check` does."""
    offer = check(code, origin=origin, now=now)
    if offer.opened_at is None:
        first = sa.and_(Invitation.id == offer.id, Invitation.opened_at.is_(None))
        db.session.execute(sa.update(Invitation).where(first).values(opened_at=now))
        db.session.commit()
    return offer


def redeem(code: str, *, origin: Origin, now: datetime, email: str | None = None) -> Redemption:
    """Let a device in. The same device coming back is let in again and uses nothing up.

    Raises `LockedOut`; `CodeRefused` by its kind, with the tries left; and at no cost of a try
    `RecipientRequired` (bound to an address, and `email` is missing), `StaffInvitation`, and
    `InvalidEmail`.
    """
    with hot.transaction() as tx:
        return _redeem(code, origin, now, email, tx)


def admit(code: str, *, origin: Origin, now: datetime, email: str | None = None) -> Session:
    """`redeem`, and open the invitee's session in the same transaction. Raises as `redeem` does."""
    redemption = db.session.merge(_redeem(code, origin, now, email, SESSION), load=False)
    session = sessions.open_for_redemption(redemption, origin=origin, now=now)
    db.session.commit()
    return session


def enlist(
    code: str, account: Account, *, origin: Origin, now: datetime, otherwise: Role | None = None
) -> None:
    """Add `account` with the role its invitation grants. Takes part in the caller's transaction.

    An invitation that grants none makes it `otherwise`; a device that one let in before uses
    nothing up, but makes one account by it and no more.

    Raises `LockedOut`, or `CodeRefused` (also for a code that grants no role, without `otherwise`).
    """

    def use(offer: Offer, redemption: UUID | None) -> Redemption:
        role = offer.grants_role or otherwise
        if role is None:
            raise CodeRefused
        if redemption is None:
            offer.require_active()
        _require_recipient(offer, account.email)
        # A refusal from here on must not leave the account behind: failures are committed.
        with db.session.begin_nested():
            account.role = role
            account.serial = serials.draw()
            db.session.add(account)
            db.session.flush()
            if redemption is not None:
                return _sign_for(redemption, offer.id, account, now)
            return _take_a_use(offer.id, origin, now, SESSION, account=account)

    _try(code, use, origin, now, SESSION)


def _redeem(
    code: str, origin: Origin, now: datetime, email: str | None, tx: Transaction
) -> Redemption:
    email = emails.normalise(email) if email else None

    def use(offer: Offer, redemption: UUID | None) -> Redemption:
        if redemption is not None:
            # Either a revocation that runs beside us ends our session too, or we see it here.
            _require_not_over(_as_it_is(offer.id, tx, kept=True), now)
            return _redemption(redemption, tx)
        offer.require_active()
        if offer.grants_role is not None:
            raise StaffInvitation
        _require_recipient(offer, email)
        return _take_a_use(offer.id, origin, now, tx, email=email)

    return _try(code, use, origin, now, tx)


def _try(
    code: str,
    use: Callable[[Offer, UUID | None], Redemption],
    origin: Origin,
    now: datetime,
    tx: Transaction,
) -> Redemption:
    """Evaluate one try between its reservation and its outcome."""
    attempts.reserve(origin, now=now, tx=tx)
    end, before, offer = offers.look_up(code, origin=origin, now=now, tx=tx)
    attempts.require_over(end)
    try:
        if offer is None:
            guesses.keep(code, origin=origin, now=now, tx=tx)
            raise CodeRefused
        redemption = use(offer, before)
    except CodeRefused as refusal:
        _fail(refusal, origin, now, tx)
    except PortalError:  # not a wrong code: it costs no try
        tx.rollback()
        raise
    if before is not None:
        attempts.succeed(origin, tx=tx)
    return redemption


def _fail(refusal: CodeRefused, origin: Origin, now: datetime, tx: Transaction) -> NoReturn:
    left = attempts.fail(origin, now=now, tx=tx)
    audit.record(
        "code.refused", now=now, origin=origin, reason=refusal.name, tries_left=left, tx=tx
    )
    if not left:
        audit.record("device.locked", now=now, origin=origin, tx=tx)
    tx.commit()
    if not left:
        raise LockedOut(now + timedelta(minutes=settings.lockout_minutes)) from refusal
    refusal.tries_left = left
    raise refusal


def _as_it_is(id: UUID, tx: Transaction, *, kept: bool = False) -> Invitation:
    """The invitation as the database has it by now; `kept`, nobody changes it meanwhile."""
    (row,) = tx.rows(_KEPT if kept else _NOW, {"id": id})
    return hot.entity(Invitation, dict(zip(Invitation.__table__.c.keys(), row, strict=True)))


def _redemption(id: UUID, tx: Transaction) -> Redemption:
    (row,) = tx.rows(_ADMITTED, {"id": id})
    return hot.entity(Redemption, dict(zip(Redemption.__table__.c.keys(), row, strict=True)))


def _all_of(table: type[Invitation | Redemption]) -> sa.Select[Any]:
    return sa.select(*table.__table__.c).where(table.id == sa.bindparam("id"))


_NOW = Statement(_all_of(Invitation))
_KEPT = Statement(_all_of(Invitation).with_for_update(read=True))
_ADMITTED = Statement(_all_of(Redemption))


def _take_a_use(
    invitation: UUID,
    origin: Origin,
    now: datetime,
    tx: Transaction,
    *,
    email: str | None = None,
    account: Account | None = None,
) -> Redemption:
    if not tx.rows(_TAKE, {"taken": invitation, "moment": now}):
        _explain(invitation, now, tx)
    row = {
        "id": new_id(),
        "invitation_id": invitation,
        "device": origin.device_digest,
        "at": now,
        "address": origin.address,
        "client": origin.client[:255],
        "email": account.email if account else email,
        "account_id": account.id if account else None,
    }
    event = audit.event(
        "invitation.redeemed",
        now=now,
        origin=origin,
        actor=account.id if account else None,
        subject=invitation,
    )
    tx.rows(_ADMIT, row | attempts.over(origin) | event)
    tx.on_commit(partial(audit.announce, "invitation.redeemed"))
    return hot.entity(Redemption, row)


def _sign_for(redemption: UUID, invitation: UUID, account: Account, now: datetime) -> Redemption:
    """Write the account beside the redemption that let its device in."""
    _require_not_over(_as_it_is(invitation, SESSION, kept=True), now)
    signed = db.session.execute(
        sa.update(Redemption)
        .where(Redemption.id == redemption, Redemption.account_id.is_(None))
        .values(account_id=account.id, email=account.email)
        .returning(Redemption.id)
    ).first()
    if signed is None:
        raise InvitationUsed
    return _redemption(redemption, SESSION)


_MOMENT = sa.bindparam("moment", type_=UTCDateTime)
_TAKE = Statement(
    sa.update(Invitation)
    .where(
        Invitation.id == sa.bindparam("taken", type_=Invitation.id.type),
        Invitation.revoked_at.is_(None),
        sa.or_(Invitation.expires_at.is_(None), Invitation.expires_at > _MOMENT),
        sa.or_(Invitation.max_uses.is_(None), Invitation.uses < Invitation.max_uses),
    )
    .values(uses=Invitation.uses + 1)
    .returning(Invitation.id)
)
_ADMIT = Statement(sa.insert(Redemption), along=[attempts.SUCCEED, audit.INSERT])


def _explain(invitation: UUID, now: datetime, tx: Transaction) -> NoReturn:
    """Say why a use that was there a moment ago is gone."""
    found = _as_it_is(invitation, tx)
    _require_not_over(found, now)
    raise InvitationUsed if found.status(now) is Status.USED else CodeRefused


def _require_not_over(invitation: Invitation, now: datetime) -> None:
    match invitation.status(now):
        case Status.REVOKED:
            raise CodeRefused
        case Status.EXPIRED if invitation.expires_at:
            raise InvitationExpired(invitation.expires_at)


def _require_recipient(offer: Offer, email: str | None) -> None:
    if offer.recipient is None:
        return
    if not email:
        raise RecipientRequired
    if not offer.suits(email):
        raise WrongRecipient
