"""What invitees do with a code: check it, visit its link, redeem it.

A use is taken by one conditional UPDATE, together with a row in the ledger: whatever runs beside
it, an invitation never admits more devices than it should. The device's attempt counter, locked by
`attempts.reserve`, keeps two submits of one device apart; the ledger's unique key would refuse the
second in any case.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, NoReturn
from uuid import UUID

import sqlalchemy as sa

from portal import transactions
from portal.config import settings
from portal.domain import attempts, audit, codes, emails, guesses, serials, sessions
from portal.domain.errors import (
    CodeRefused,
    InvitationExpired,
    InvitationNotOpen,
    InvitationUsed,
    LockedOut,
    PortalError,
    RecipientRequired,
    StaffInvitation,
    WrongRecipient,
)
from portal.domain.origin import Origin
from portal.extensions import db
from portal.lookups import LookUp, adopted, entity, entity_of_row
from portal.models import Account, Invitation, Redemption, Role, Session, Status
from portal.models.types import UTCDateTime, new_id
from portal.statements import Statement


def check(code: str, *, origin: Origin, now: datetime) -> Invitation:
    """The invitation that `code` would redeem now. It costs no try.

    Raises `LockedOut`, or `CodeRefused` by its kind; an unknown code counts against the address.
    """
    end, invitation, redemption = _look_up(code, origin, now)
    attempts.require_over(end)
    if invitation is None:
        attempts.miss(origin, now=now)
        db.session.commit()
        raise CodeRefused
    if redemption is None:
        _require_active(invitation, now)
    return invitation


def visit(code: str, *, origin: Origin, now: datetime) -> Invitation:
    """`check`, by following a link; the first visit is remembered. Raises as `check` does."""
    invitation = check(code, origin=origin, now=now)
    if invitation.opened_at is None:
        first = sa.and_(Invitation.id == invitation.id, Invitation.opened_at.is_(None))
        db.session.execute(sa.update(Invitation).where(first).values(opened_at=now))
        db.session.commit()
    return invitation


def redeem(code: str, *, origin: Origin, now: datetime, email: str | None = None) -> Redemption:
    """Let a device in. The same device coming back is let in again and uses nothing up.

    Raises `LockedOut`; `CodeRefused` by its kind, with the tries left; and at no cost of a try
    `RecipientRequired` (bound to an address, and `email` is missing), `StaffInvitation`, and
    `InvalidEmail`.
    """
    with transactions.short():
        return _redeem(code, origin, now, email)


def admit(code: str, *, origin: Origin, now: datetime, email: str | None = None) -> Session:
    """`redeem`, and open the invitee's session in the same transaction. Raises as `redeem` does."""
    redemption = adopted(_redeem(code, origin, now, email))
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

    def use(invitation: Invitation, redemption: UUID | None) -> Redemption:
        role = invitation.grants_role or otherwise
        if role is None:
            raise CodeRefused
        if redemption is None:
            _require_active(invitation, now)
        _require_recipient(invitation, account.email)
        # A refusal from here on must not leave the account behind: failures are committed.
        with db.session.begin_nested():
            account.role = role
            account.serial = serials.draw()
            db.session.add(account)
            db.session.flush()
            if redemption is not None:
                return _sign_for(redemption, invitation, account, now)
            return _take_a_use(invitation, origin, now, account=account)

    _try(code, use, origin, now)


def _redeem(code: str, origin: Origin, now: datetime, email: str | None) -> Redemption:
    email = emails.normalise(email) if email else None

    def use(invitation: Invitation, redemption: UUID | None) -> Redemption:
        if redemption is not None:
            # Either a revocation that runs beside us ends our session too, or we see it here.
            _require_not_over(_as_it_is(invitation, kept=True), now)
            return _redemption(redemption)
        _require_active(invitation, now)
        if invitation.grants_role is not None:
            raise StaffInvitation
        _require_recipient(invitation, email)
        return _take_a_use(invitation, origin, now, email=email)

    return _try(code, use, origin, now)


def _try(
    code: str, use: Callable[[Invitation, UUID | None], Redemption], origin: Origin, now: datetime
) -> Redemption:
    """Evaluate one try between its reservation and its outcome."""
    attempts.reserve(origin, now=now)
    end, invitation, before = _look_up(code, origin, now, reserved=True)
    attempts.require_over(end)
    try:
        if invitation is None:
            guesses.keep(code, origin=origin, now=now)
            raise CodeRefused
        redemption = use(invitation, before)
    except CodeRefused as refusal:
        _fail(refusal, origin, now)
    except PortalError:  # not a wrong code: it costs no try
        transactions.rollback()
        raise
    if before is not None:
        attempts.succeed(origin)
    return redemption


def _fail(refusal: CodeRefused, origin: Origin, now: datetime) -> NoReturn:
    left = attempts.fail(origin, now=now)
    audit.record("code.refused", now=now, origin=origin, reason=refusal.name, tries_left=left)
    if not left:
        audit.record("device.locked", now=now, origin=origin)
    transactions.commit()
    if not left:
        raise LockedOut(now + timedelta(minutes=settings.lockout_minutes)) from refusal
    refusal.tries_left = left
    raise refusal


def _look_up(
    code: str, origin: Origin, now: datetime, *, reserved: bool = False
) -> tuple[float | None, Invitation | None, UUID | None]:
    """The end of a wait, if there is one; what the code opens (to be read only: it belongs to no
    session); and the redemption that let this device in before.
    """
    digests = codes.lookups(code)
    values = attempts.waiting(origin, now=now)
    values["device"] = origin.device_digest
    values |= {f"lookup_{number}": digest for number, digest in enumerate(digests)}
    look_up = _everything_about_a_code(len(digests))
    row = (look_up.in_transaction if reserved else look_up).first(values)
    assert row is not None  # noqa: S101 - whether one has to wait is always answered
    end, redemption, *columns = row
    known = columns[0] is not None
    invitation = entity_of_row(Invitation, columns, _ASKED) if known else None
    return end, invitation, redemption


# What is asked of an invitation before it lets anybody in; reading the rest takes its time too.
_ASKED = (
    *("id", "sealed", "recipient", "grants_role"),
    *("starts_at", "expires_at", "opened_at", "revoked_at", "max_uses", "uses"),
)


@cache
def _everything_about_a_code(secrets: int) -> LookUp:
    """All that a look at a code asks, in one statement; with a digest for each of so many secrets.

    A revoked code is unknown.
    """
    invitation, redemption = Invitation.__table__, Redemption.__table__
    names = [f"lookup_{number}" for number in range(secrets)]
    digests = [sa.bindparam(name, type_=invitation.c.lookup.type) for name in names]
    wait = sa.select(attempts.end_of_wait().label("end")).subquery()
    is_meant = sa.and_(invitation.c.lookup.in_(digests), invitation.c.revoked_at.is_(None))
    is_this_device = sa.and_(
        redemption.c.invitation_id == invitation.c.id,
        redemption.c.device == sa.bindparam("device"),
    )
    return LookUp(
        sa.select(
            wait.c.end, redemption.c.id, *(invitation.c[name] for name in _ASKED)
        ).select_from(wait.outerjoin(invitation, is_meant).outerjoin(redemption, is_this_device))
    )


def _as_it_is(invitation: Invitation, *, kept: bool = False) -> Invitation:
    """The invitation as the database has it by now; `kept`, nobody changes it meanwhile."""
    (row,) = (_KEPT if kept else _NOW).rows({"id": invitation.id})
    return entity_of_row(Invitation, row)


def _redemption(id: UUID) -> Redemption:
    (row,) = _ADMITTED.rows({"id": id})
    return entity_of_row(Redemption, row)


def _all_of(table: type[Invitation | Redemption]) -> sa.Select[Any]:
    return sa.select(*table.__table__.c).where(table.id == sa.bindparam("id"))


_NOW = Statement(_all_of(Invitation))
_KEPT = Statement(_all_of(Invitation).with_for_update(read=True))
_ADMITTED = Statement(_all_of(Redemption))


def _take_a_use(
    invitation: Invitation,
    origin: Origin,
    now: datetime,
    *,
    email: str | None = None,
    account: Account | None = None,
) -> Redemption:
    if not _TAKE.rows({"taken": invitation.id, "moment": now}):
        _explain(invitation, now)
    row = {
        "id": new_id(),
        "invitation_id": invitation.id,
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
        subject=invitation.id,
    )
    _ADMIT.rows(row | attempts.over(origin) | event)
    transactions.on_commit(partial(audit.announce, "invitation.redeemed"))
    return entity(Redemption, row)


def _sign_for(
    redemption: UUID, invitation: Invitation, account: Account, now: datetime
) -> Redemption:
    """Write the account beside the redemption that let its device in."""
    _require_not_over(_as_it_is(invitation, kept=True), now)
    signed = db.session.execute(
        sa.update(Redemption)
        .where(Redemption.id == redemption, Redemption.account_id.is_(None))
        .values(account_id=account.id, email=account.email)
        .returning(Redemption.id)
    ).first()
    if signed is None:
        raise InvitationUsed
    return _redemption(redemption)


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


def _explain(invitation: Invitation, now: datetime) -> NoReturn:
    """Say why a use that was there a moment ago is gone."""
    _require_active(_as_it_is(invitation), now)
    raise CodeRefused


def _require_active(invitation: Invitation, now: datetime) -> None:
    status = invitation.status(now)
    if status is Status.ACTIVE:
        return
    if status is Status.USED:
        raise InvitationUsed
    if status is Status.SCHEDULED and invitation.starts_at:
        raise InvitationNotOpen(invitation.starts_at)
    _require_not_over(invitation, now)


def _require_not_over(invitation: Invitation, now: datetime) -> None:
    match invitation.status(now):
        case Status.REVOKED:
            raise CodeRefused
        case Status.EXPIRED if invitation.expires_at:
            raise InvitationExpired(invitation.expires_at)


def _require_recipient(invitation: Invitation, email: str | None) -> None:
    if invitation.recipient is None:
        return
    if not email:
        raise RecipientRequired
    if not invitation.suits(email):
        raise WrongRecipient
