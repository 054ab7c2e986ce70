"""Accounts that are switched off, and those that are gone for good. Each verb commits once, last.

Of an account that is erased a row stays, without a person in it: the ledger and the audit log name
accounts by their ids, and the chain of the log must still verify.
"""

from datetime import datetime

import sqlalchemy as sa

from portal.domain.accounts import reauthentication, sessions, verification
from portal.domain.audit import audit, chain
from portal.domain.client import Origin
from portal.domain.errors import LastOwner, NotAllowed
from portal.domain.invitations import invitations
from portal.domain.mail import outbox
from portal.domain.tokens import api_tokens
from portal.extensions import db
from portal.models import (
    Account,
    ApiToken,
    AuditEvent,
    Avatar,
    Installation,
    InvitationRequest,
    Mail,
    Passkey,
    RecoveryCode,
    Redemption,
    RefreshToken,
    Role,
    Session,
    Verification,
)


def deactivate(account: Account, *, by: Account, origin: Origin, now: datetime) -> int:
    """Switch an account off: sessions, API tokens and staff codes end, its mailbox hears of it.


    Return how many codes those were. Raises `NotAllowed`, `LastOwner`.
    """
    wait_for_ownership(by, account)
    _require_may_keep_out(by, account)
    if account.deactivated_at is not None:
        return 0
    require_another_owner(account)
    account.deactivated_at = now
    sessions.revoke_all_of(account.id, now=now)
    api_tokens.revoke_all_of(account, by=by, origin=origin, now=now)
    verification.void(account.id, now=now)
    withdrawn = invitations.withdraw(account, by=by, origin=origin, now=now)
    outbox.queue("deactivated", to=account.email, about=account.id, now=now)
    audit.record("account.deactivated", now=now, origin=origin, actor=by.id, subject=account.id)
    db.session.commit()
    return withdrawn


def reactivate(account: Account, *, by: Account, origin: Origin, now: datetime) -> None:
    """Switch an account on again, with all its tries, no session and no API token.

    Raises `NotAllowed`.
    """
    _require_may_keep_out(by, account)
    if account.deactivated_at is None:
        return
    account.deactivated_at, account.failed_sign_ins = None, 0
    # What was under way while it was switched off may have made one.
    sessions.revoke_all_of(account.id, now=now)
    api_tokens.revoke_all_of(account, by=by, origin=origin, now=now)
    audit.record("account.reactivated", now=now, origin=origin, actor=by.id, subject=account.id)
    db.session.commit()


def may_manage(by: Account, account: Account) -> bool:
    """Owners manage everybody, admins whoever is below them."""
    return by.may(Role.OWNER) or (by.may(Role.ADMIN) and by.role.rank > account.role.rank)


def erase(
    account: Account, password: str, *, session: Session, origin: Origin, now: datetime
) -> None:
    """Delete one's own account: the person is gone, what they did stays under the account's id.

    Raises `LastOwner`, and as `confirmations.require_password` does.
    """
    reauthentication.require_password(account, password, session=session, origin=origin, now=now)
    db.session.commit()  # who waits for ownership must hold nothing others wait for
    wait_for_ownership(account)
    require_another_owner(account)
    _delete_belongings(account)
    _forget_in_ledger(account)
    _blank(account, now)
    invitations.withdraw(account, by=account, now=now)
    audit.record("account.erased", now=now, subject=account.id)
    db.session.commit()


def drop_unconfirmed(*, since: datetime, most: int, now: datetime) -> int:
    """Delete accounts nobody has confirmed an e-mail for since then, up to `most`; return how many.

    Nobody ever signed in to them, so no row need stay. Whom a code or a link is on its way to is
    spared. The ledger keeps its rows: the device may sign up by the same invitation again.
    """
    on_its_way = sa.exists().where(
        Verification.account_id == Account.id, Verification.expires_at > now
    )
    due = sa.and_(Account.confirmed_at.is_(None), Account.created_at < since)
    chosen = sa.select(Account.id).where(due, sa.not_(on_its_way)).limit(most)
    # A write, for it locks the rows on both engines: whoever confirms meanwhile came too late, or
    # first.
    dropped = db.session.scalars(
        sa.update(Account)
        .where(Account.id.in_(chosen.scalar_subquery()), due)
        .values(erased_at=now)
        .returning(Account.id)
        .execution_options(synchronize_session=False)
    ).all()
    for rows in (
        sa.update(Redemption)
        .where(Redemption.account_id.in_(dropped))
        .values(account_id=None, email=None),
        sa.delete(Account).where(Account.id.in_(dropped)),
    ):
        db.session.execute(rows.execution_options(synchronize_session=False))
    db.session.commit()
    return len(dropped)


def wait_for_ownership(*changing: Account) -> None:
    """Have changes of who owns the portal come one after the other, by the portal's one row.

    Whoever waited looks at these accounts anew, for the change before may have been about them.
    Takes part in the caller's transaction.
    """
    db.session.execute(sa.update(Installation).values(last_serial=Installation.last_serial))
    for account in changing:
        db.session.refresh(account)


def require_another_owner(account: Account) -> None:
    """Raise `LastOwner` if nobody else owns the portal; only after `wait_for_ownership`."""
    if account.role is not Role.OWNER:
        return
    others = sa.exists().where(
        Account.role == Role.OWNER, Account.deactivated_at.is_(None), Account.id != account.id
    )
    if not db.session.scalar(sa.select(others)):
        raise LastOwner


def _require_may_keep_out(by: Account, account: Account) -> None:
    if not may_manage(by, account) or by.id == account.id or account.erased_at is not None:
        raise NotAllowed


def _delete_belongings(account: Account) -> None:
    admitted = sa.select(Redemption.id).where(_of(account))
    mine = sa.or_(Session.account_id == account.id, Session.redemption_id.in_(admitted))
    of_account = sa.select(Session.id).where(mine)
    mailboxes = [account.email] if account.email_is_proven else []  # or else it may be another's
    about = sa.or_(
        Mail.recipient.in_(mailboxes),
        Mail.about_id == account.id,
        Mail.about_id.in_(of_account),
        Mail.about_id.in_(sa.select(ApiToken.id).where(ApiToken.account_id == account.id)),
        Mail.about_id.in_(sa.select(Verification.id).where(Verification.account_id == account.id)),
    )
    for rows in (
        sa.delete(Mail).where(about),
        sa.delete(RefreshToken).where(RefreshToken.session_id.in_(of_account)),
        sa.delete(Session).where(mine),
        sa.delete(Verification).where(Verification.account_id == account.id),
        sa.delete(RecoveryCode).where(RecoveryCode.account_id == account.id),
        sa.delete(Passkey).where(Passkey.account_id == account.id),
        sa.delete(Avatar).where(Avatar.account_id == account.id),
        sa.delete(ApiToken).where(ApiToken.account_id == account.id),
        sa.delete(Verification).where(Verification.email.in_(mailboxes)),
        sa.delete(InvitationRequest).where(InvitationRequest.email.in_(mailboxes)),
    ):
        db.session.execute(rows.execution_options(synchronize_session=False))


def _forget_in_ledger(account: Account) -> None:
    """Addresses are kept beside the chain, not in it: it verifies without them."""
    chain.link()  # what is not linked yet is sealed with its address
    for rows in (
        sa.update(Redemption).where(_of(account)).values(email=None, address=None, client=None),
        sa.update(AuditEvent).where(AuditEvent.actor_id == account.id).values(address=None),
    ):
        db.session.execute(rows.execution_options(synchronize_session=False))


def _of(account: Account) -> sa.ColumnElement[bool]:
    """The redemptions of this person; by a proven e-mail those before the account as well."""
    mine = Redemption.account_id == account.id
    return sa.or_(mine, Redemption.email == account.email) if account.email_is_proven else mine


def _blank(account: Account, now: datetime) -> None:
    account.email, account.username = f"{account.id}@erased.invalid", f"erased-{account.serial}"
    account.username_key, account.password_hash = account.username, ""
    account.first_name = account.last_name = ""
    account.phone = account.avatar = account.totp_sealed = account.totp_confirmed_at = None
    account.email_proof = None
    account.role = Role.MEMBER
    account.deactivated_at = account.erased_at = now
