"""What invitees do with a code: check it, visit its link, redeem it.

A use is taken by one conditional UPDATE, together with a row in the ledger: whatever runs beside
it, an invitation never admits more devices than it should. The device's attempt counter, locked by
`attempts.reserve`, keeps two submits of one device apart; the ledger's unique key would refuse the
second in any case.
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
    """What `code` would redeem now. It costs no try.

    Raises `LockedOut`, or `CodeRefused` by its kind; an unknown code counts against the address.
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
    """`check`, by following a link; the first visit is remembered. Raises as `check` does."""
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
    """Let a device in. The same device coming back is let in again and uses nothing up.

    An origin without a device takes a use each time.

    Raises `LockedOut`; `CodeRefused` by its kind, with the tries left; and at no cost of a try
    `RecipientRequired` (bound to an address, and `email` is missing), `RecipientUnproven` (a code
    is mailed to it), `VerificationRefused` (of that code), `StaffInvitation`, and `InvalidEmail`.
    """
    try:
        if proof.code:  # it takes the session to look that up
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
    """Have a code that is wrong cost its try, before anything costly is done for its sender.

    Nothing is used up. Raises `LockedOut`, and `CodeRefused` for a code that nobody was given.
    """
    _try(code, lambda _offer, _before: None, origin, now, SESSION)
    db.session.rollback()  # a code that is known costs no try here


def enlist(
    code: str, account: Account, *, origin: Origin, now: datetime, proof: Proof = NOTHING
) -> None:
    """Add `account` to staff with the role its invitation grants, for which its e-mail is proven.

    Takes part in the caller's transaction. Raises `LockedOut`, `CodeRefused` by its kind (also for
    a code that grants no role, and `InvitationWithdrawn` if its issuer may not grant that role any
    more), and for a bound one as `redeem` does.
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
        # A refusal from here on must not leave the account behind: failures are committed.
        with db.session.begin_nested():
            _add(account, offer.grants_role, offer)
            _use_for(account, offer.id, redemption, origin, now)

    _try(code, use, origin, now, SESSION)


def enlist_member(code: str, account: Account, *, origin: Origin, now: datetime) -> None:
    """Add `account`, whose e-mail is still to be proven, with the role its invitation grants.

    A bound invitation waits for that proof and is used up by it (`complete`), where an address has
    to be proven. A device that an invitation let in before uses nothing up, but makes one account
    by it and no more. Takes part in the caller's transaction. Raises `LockedOut`, `CodeRefused`.
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
    """Use up the bound invitation that waits for this account's e-mail, which is proven by now.

    Takes part in the caller's transaction. Raises `CodeRefused` by its kind for one that is over.
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
            # Either a revocation that runs beside us ends our session too, or we see it here.
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
    # Whoever demotes or deactivates somebody waits for this number, or we for them: what the issuer
    # may do is looked at behind that, and holds until this is committed.
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
    """Evaluate one try between its reservation and its outcome."""
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
    except VerificationRefused:  # a mailed code was wrong: that is counted, and is no try of ours
        lockout.give_back(origin, now=now, tx=tx)
        tx.commit()
        raise
    except PortalError:  # not a wrong code: it costs no try
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
    admitted = new_id()
    row = {
        "id": admitted,
        "invitation_id": invitation,
        # People without devices are let in one by one: the ledger takes each for somebody else.
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
_ADMIT = Statement(sa.insert(Redemption), along=[lockout.SUCCEED, audit.INSERT])


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


def _require_still_granted(offer: Offer) -> None:
    """Raise `InvitationWithdrawn` if it gives a role that its issuer may not give any more."""
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
