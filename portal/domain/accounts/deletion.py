"""Deactivation and deletion of accounts. Each verb commits once, last.

A deleted account leaves an anonymous row: redemptions and the audit log refer to accounts by id,
and the audit chain must still verify.
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
    """Deactivate an account: end its sessions, revoke its API tokens and staff codes, notify it.

    Return how many codes were revoked. Raises `NotAllowed`, `LastOwner`.
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
    """Reactivate an account with all attempts left and without sessions or API tokens.

    Raises `NotAllowed`.
    """
    _require_may_keep_out(by, account)
    if account.deactivated_at is None:
        return
    account.deactivated_at, account.failed_sign_ins = None, 0
    # A request already running at deactivation may have created one since.
    sessions.revoke_all_of(account.id, now=now)
    api_tokens.revoke_all_of(account, by=by, origin=origin, now=now)
    audit.record("account.reactivated", now=now, origin=origin, actor=by.id, subject=account.id)
    db.session.commit()


def may_manage(by: Account, account: Account) -> bool:
    """Whether `by` may manage the account: owners manage everybody, admins those below them."""
    return by.may(Role.OWNER) or (by.may(Role.ADMIN) and by.role.rank > account.role.rank)


def erase(
    account: Account, password: str, *, session: Session, origin: Origin, now: datetime
) -> None:
    """Delete one's own account: personal data goes, events stay under the account's id.

    Raises `LastOwner`, and as `reauthentication.require_password` does.
    """
    reauthentication.require_password(account, password, session=session, origin=origin, now=now)
    db.session.commit()  # hold no locks while waiting for ownership
    wait_for_ownership(account)
    require_another_owner(account)
    _delete_belongings(account)
    _forget_in_ledger(account)
    _blank(account, now)
    invitations.withdraw(account, by=account, now=now)
    audit.record("account.erased", now=now, subject=account.id)
    db.session.commit()


def drop_unconfirmed(*, since: datetime, most: int, now: datetime) -> int:
    """Delete up to `most` accounts unconfirmed since before `since`; return how many.

    Nobody ever signed in to them, so no row has to stay. Accounts with a valid code or link are
    spared. Redemptions stay, so the same device may sign up by the same invitation again.
    """
    on_its_way = sa.exists().where(
        Verification.account_id == Account.id, Verification.expires_at > now
    )
    due = sa.and_(Account.confirmed_at.is_(None), Account.created_at < since)
    chosen = sa.select(Account.id).where(due, sa.not_(on_its_way)).limit(most)
    # An UPDATE locks the rows on both engines: a concurrent confirmation either came first or finds
    # nothing left.
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
    """Serialise changes of ownership by locking the portal's one row, then reload these accounts.

    Reloading matters because the change before may have been about them. Takes part in the caller's
    transaction.
    """
    db.session.execute(sa.update(Installation).values(last_serial=Installation.last_serial))
    for account in changing:
        db.session.refresh(account)


def require_another_owner(account: Account) -> None:
    """Raise `LastOwner` if there is no other owner. Call `wait_for_ownership` first."""
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
    mailboxes = [account.email] if account.email_is_proven else []  # unproven, it may be another's
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
    """Clear the person's addresses. They are not part of the chain, which still verifies."""
    chain.link()  # the seal of an unlinked event includes its address
    for rows in (
        sa.update(Redemption).where(_of(account)).values(email=None, address=None, client=None),
        sa.update(AuditEvent).where(AuditEvent.actor_id == account.id).values(address=None),
    ):
        db.session.execute(rows.execution_options(synchronize_session=False))


def _of(account: Account) -> sa.ColumnElement[bool]:
    """The person's redemptions; with a proven e-mail, also those from before the account."""
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
