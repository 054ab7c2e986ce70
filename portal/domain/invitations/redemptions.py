"""Redemption: what invitees do with a code — check it, visit its link, redeem it.

A use is taken by one conditional UPDATE together with a row in the ledger of redemptions, so an
invitation never admits more devices than it should, whatever runs concurrently. The device's
attempt counter, locked by `lockout.reserve`, serialises requests of one device; the ledger's unique
key would reject the second anyway.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NoReturn, TypeVar
from uuid import UUID

import sqlalchemy as sa

from portal.config import settings
from portal.db import hot
from portal.db.hot import SESSION, Statement, Transaction
from portal.db.types import UTCDateTime, new_id
from portal.domain.accounts import emails, serials, sessions
from portal.domain.accounts.deletion import wait_for_ownership
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import (
    CodeRefused,
    InvitationExpired,
    InvitationUsed,
    InvitationWithdrawn,
    LockedOut,
    PortalError,
    RecipientUnproven,
    StaffInvitation,
    VerificationRefused,
    WrongRecipient,
)
from portal.domain.invitations import lookup, recipient_verification
from portal.domain.invitations.lookup import Offer
from portal.domain.invitations.recipient_verification import NOTHING, Proof
from portal.domain.lockout import lockout, near_misses
from portal.domain.lockout.lockout import Kind
from portal.extensions import db
from portal.models import (
    Account,
    EmailProof,
    Invitation,
    PendingRedemption,
    Redemption,
    Role,
    Session,
    Status,
)

Used = TypeVar("Used")


def check(code: str, *, origin: Origin, now: datetime) -> Offer:
    """What `code` would redeem now. It costs no attempt.

    Raises `LockedOut` and the subclasses of `CodeRefused`; an unknown code counts against the
    address.
    """
    end, redemption, offer = lookup.look_up(code, origin=origin, now=now)
    lockout.require_over(end)
    if offer is None:
        lockout.miss(Kind.LOOKING_UP, origin, now=now)
        db.session.commit()
        raise CodeRefused
    if redemption is None:
        offer.require_active()
    _require_still_granted(offer)
    return offer


def visit(code: str, *, origin: Origin, now: datetime) -> Offer:
    """`check` for a followed link; records the first visit. Raises as `check` does."""
    offer = check(code, origin=origin, now=now)
    if offer.opened_at is None:
        first = sa.and_(Invitation.id == offer.id, Invitation.opened_at.is_(None))
        db.session.execute(sa.update(Invitation).where(first).values(opened_at=now))
        db.session.commit()
    return offer


def redeem(
    code: str,
    *,
    origin: Origin,
    now: datetime,
    email: str | None = None,
    proof: Proof = NOTHING,
) -> Redemption:
    """Redeem a code on a device. A device that has redeemed it before takes no further use.

    An origin without a device takes a use each time.

    Raises `LockedOut`; the subclasses of `CodeRefused`, with the attempts left; and at no cost of
    an attempt `RecipientRequired` (bound to an address, and `email` is missing),
    `RecipientUnproven` (a code is mailed to it), `VerificationRefused` (for that code),
    `StaffInvitation`, and `InvalidEmail`.
    """
    try:
        if proof.code:  # verifying it needs the session
            redemption = _redeem(code, SESSION, origin=origin, now=now, email=email, proof=proof)
            db.session.commit()
            return redemption
        with hot.transaction() as tx:
            return _redeem(code, tx, origin=origin, now=now, email=email, proof=proof)
    except RecipientUnproven as unproven:
        recipient_verification.mail_code(unproven, origin=origin, now=now)
        raise


def admit(
    code: str,
    *,
    origin: Origin,
    now: datetime,
    email: str | None = None,
    proof: Proof = NOTHING,
) -> Session:
    """`redeem`, and open the invitee's session in the same transaction. Raises as `redeem` does."""
    try:
        redemption = _redeem(code, SESSION, origin=origin, now=now, email=email, proof=proof)
    except RecipientUnproven as unproven:
        recipient_verification.mail_code(unproven, origin=origin, now=now)
        raise
    redemption = db.session.merge(redemption, load=False)
    session = sessions.open_for_redemption(redemption, origin=origin, now=now)
    db.session.commit()
    return session


def require_known(code: str, *, origin: Origin, now: datetime) -> None:
    """Charge an attempt for a wrong code before doing anything expensive for its sender.

    Redeems nothing. Raises `LockedOut`, and `CodeRefused` for an unknown code.
    """
    _try(code, lambda _offer, _before: None, origin, now, SESSION)
    db.session.rollback()  # a known code costs no attempt here


def enlist(
    code: str, account: Account, *, origin: Origin, now: datetime, proof: Proof = NOTHING
) -> None:
    """Add `account` to staff with the role its invitation grants, checking who the recipient is.

    Takes part in the caller's transaction. Raises `LockedOut`, the subclasses of `CodeRefused`
    (also for a code that grants no role, and `InvitationWithdrawn` if its issuer may no longer
    grant it), and, for a bound one, as `redeem` does.
    """

    def use(offer: Offer, redemption: UUID | None) -> None:
        if offer.grants_role is None:
            raise CodeRefused
        if redemption is None:
            offer.require_active()
        _, is_proven = recipient_verification.require(
            offer, account.email, proof, origin=origin, now=now
        )
        account.email_proof = EmailProof.MAIL if is_proven else None
        # Failures are committed, and must not leave the account behind.
        with db.session.begin_nested():
            _add(account, offer.grants_role, offer)
            _use_for(account, offer.id, redemption, origin, now)

    _try(code, use, origin, now, SESSION)


def enlist_member(code: str, account: Account, *, origin: Origin, now: datetime) -> None:
    """Add `account`, whose e-mail is not proven yet, with the role its invitation grants.

    Where recipients have to be proven, a bound invitation waits for that and is redeemed by
    `complete`. A device that redeemed the invitation before takes no further use, but can create
    only one account with it. Takes part in the caller's transaction. Raises `LockedOut`,
    `CodeRefused`.
    """

    def use(offer: Offer, redemption: UUID | None) -> None:
        if redemption is None:
            offer.require_active()
        if not offer.suits(account.email):
            raise WrongRecipient
        if redemption is None and offer.recipient and settings.recipients_are_proven:
            _add(account, Role.MEMBER, offer)
            db.session.add(PendingRedemption(account_id=account.id, invitation_id=offer.id))
            lockout.give_back(origin, now=now)
            return
        with db.session.begin_nested():  # as above
            _add(account, offer.grants_role or Role.MEMBER, offer)
            _use_for(account, offer.id, redemption, origin, now)

    _try(code, use, origin, now, SESSION)


def complete(account: Account, *, origin: Origin, now: datetime) -> None:
    """Redeem the bound invitation waiting for this account's e-mail, which is now proven.

    Takes part in the caller's transaction. Raises the subclass of `CodeRefused` if it is no longer
    valid.
    """
    pending = db.session.get(PendingRedemption, account.id)
    if pending is None:
        return
    db.session.delete(pending)
    invitation = _as_it_is(pending.invitation_id, SESSION)
    before = db.session.scalar(
        sa.select(Redemption.id).where(
            Redemption.invitation_id == invitation.id, Redemption.device == origin.device_digest
        )
    )
    if invitation.grants_role:
        wait_for_ownership()
        _require_issuer_may_grant(invitation.id, invitation.grants_role)
        account.role = invitation.grants_role
    _use_for(account, invitation.id, before, origin, now)


def _redeem(
    code: str, tx: Transaction, *, origin: Origin, now: datetime, email: str | None, proof: Proof
) -> Redemption:
    email = emails.normalise(email) if email else None

    def use(offer: Offer, redemption: UUID | None) -> Redemption:
        if redemption is not None:
            # A concurrent revocation either ends our session too or is seen here.
            _require_not_over(_as_it_is(offer.id, tx, kept=True), now)
            return _redemption(redemption, tx)
        offer.require_active()
        if offer.grants_role is not None:
            raise StaffInvitation
        opened_by, _ = recipient_verification.require(offer, email, proof, origin=origin, now=now)
        return _take_a_use(offer.id, origin, now, tx, email=opened_by)

    return _try(code, use, origin, now, tx)


def _add(account: Account, role: Role, offer: Offer) -> None:
    account.role = role
    # Drawing the serial takes the lock that changes of role and deactivations wait for. The
    # issuer's role is checked after that, so it holds until the commit.
    account.serial = serials.draw()
    _require_still_granted(offer)
    db.session.add(account)
    db.session.flush()


def _use_for(
    account: Account, invitation: UUID, redemption: UUID | None, origin: Origin, now: datetime
) -> None:
    if redemption is not None:
        _sign_for(redemption, invitation, account, now)
    else:
        _take_a_use(invitation, origin, now, SESSION, account=account)


def _try(
    code: str,
    use: Callable[[Offer, UUID | None], Used],
    origin: Origin,
    now: datetime,
    tx: Transaction,
) -> Used:
    """Check a code between reserving the attempt and counting its outcome."""
    lockout.reserve(origin, now=now, tx=tx)
    end, before, offer = lookup.look_up(code, origin=origin, now=now, tx=tx)
    lockout.require_over(end)
    try:
        if offer is None:
            near_misses.keep(code, origin=origin, now=now, tx=tx)
            raise CodeRefused
        used = use(offer, before)
    except CodeRefused as refusal:
        _fail(refusal, origin, now, tx)
    except VerificationRefused:  # a wrong mailed code is counted elsewhere, and costs no attempt
        lockout.give_back(origin, now=now, tx=tx)
        tx.commit()
        raise
    except PortalError:  # not a wrong code, so it costs no attempt
        tx.rollback()
        raise
    if before is not None:
        lockout.succeed(origin, tx=tx)
    return used


def _fail(refusal: CodeRefused, origin: Origin, now: datetime, tx: Transaction) -> NoReturn:
    left = lockout.fail(origin, now=now, tx=tx)
    audit.record(
        "code.refused", now=now, origin=origin, reason=refusal.name, tries_left=left, tx=tx
    )
    if left == 0:
        audit.record("device.locked", now=now, origin=origin, tx=tx)
    tx.commit()
    if left == 0:
        raise LockedOut(now + timedelta(minutes=settings.lockout_minutes)) from refusal
    refusal.tries_left = left
    raise refusal


def _as_it_is(id: UUID, tx: Transaction, *, kept: bool = False) -> Invitation:
    """The invitation as committed by now; `kept` locks it against changes."""
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
    admitted = new_id()
    row = {
        "id": admitted,
        "invitation_id": invitation,
        # Without a device id, each redemption counts as a device of its own.
        "device": origin.device_digest or admitted.hex,
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
    tx.rows(_ADMIT, row | lockout.over(origin) | event)
    tx.on_commit(partial(audit.announce, "invitation.redeemed"))
    return hot.entity(Redemption, row)


def _sign_for(redemption: UUID, invitation: UUID, account: Account, now: datetime) -> Redemption:
    """Add the account to the redemption its device made before."""
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
_ADMIT = Statement(sa.insert(Redemption), along=[lockout.SUCCEED, audit.INSERT])


def _explain(invitation: UUID, now: datetime, tx: Transaction) -> NoReturn:
    """Raise the reason why a use that was available a moment ago is gone."""
    found = _as_it_is(invitation, tx)
    _require_not_over(found, now)
    raise InvitationUsed if found.status(now) is Status.USED else CodeRefused


def _require_not_over(invitation: Invitation, now: datetime) -> None:
    match invitation.status(now):
        case Status.REVOKED:
            raise CodeRefused
        case Status.EXPIRED if invitation.expires_at:
            raise InvitationExpired(invitation.expires_at)


def _require_still_granted(offer: Offer) -> None:
    """Raise `InvitationWithdrawn` if it grants a role its issuer may no longer grant."""
    if offer.grants_role is not None:
        _require_issuer_may_grant(offer.id, offer.grants_role)


def _require_issuer_may_grant(invitation: UUID, role: Role) -> None:
    issuer = db.session.scalars(
        sa.select(Account)
        .join(Invitation, Invitation.created_by_id == Account.id)
        .where(Invitation.id == invitation)
        .execution_options(populate_existing=True)
    ).one()
    if not issuer.may_grant(role):
        raise InvitationWithdrawn
