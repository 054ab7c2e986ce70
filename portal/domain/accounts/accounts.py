"""Accounts: staff registration, sign-in and sign-out. Each verb commits last.

Members sign up in `registration.py`; passwords and e-mails change in `credentials.py`.
"""

from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from portal.config import settings
from portal.db.types import new_id
from portal.domain.accounts import (
    emails,
    names,
    password_check,
    passwords,
    reauthentication,
    serials,
    sessions,
    two_factor,
    verification,
)
from portal.domain.accounts.sessions import Living
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import (
    AccountDeactivated,
    AccountTaken,
    EmailUnconfirmed,
    RecipientUnproven,
    RegistrationClosed,
    SecondFactorRequired,
)
from portal.domain.invitations import recipient_verification, redemptions
from portal.domain.invitations.recipient_verification import NOTHING, Proof
from portal.domain.lockout import lockout
from portal.domain.lockout.lockout import SignIn
from portal.domain.mail import outbox
from portal.domain.tokens import api_tokens
from portal.extensions import db
from portal.models import (
    Account,
    EmailProof,
    Installation,
    Passkey,
    Purpose,
    Role,
    Session,
    Surface,
)


def registration() -> Literal["first", "open", "invite"]:
    """Who may register as staff now: the first owner, anybody, or holders of a staff code."""
    if settings.admin_registration == "invite":
        return "invite"
    if db.session.scalars(sa.select(Installation.owned_since)).one() is None:
        return "first"
    return "open" if settings.admin_registration == "open" else "invite"


def register(
    *,
    email: str,
    username: str,
    password: str,
    origin: Origin,
    now: datetime,
    invitation_code: str | None = None,
    proof: Proof = NOTHING,
) -> Account:
    """Register a member of staff.

    The first one owns the portal; after that `ADMIN_REGISTRATION` decides. Unless a bound
    invitation has proven the e-mail, a code to prove it is mailed.

    Raises `BadInput`, `WeakPassword`, `AccountTaken`, `RegistrationClosed`, and, for a code,
    whatever `redemptions.enlist` raises.
    """
    mode = registration()
    if mode == "invite" and not invitation_code:
        raise RegistrationClosed
    account = _new_staff(email, username, password, now)
    if mode == "invite" and invitation_code:
        redemptions.require_known(invitation_code, origin=origin, now=now)
    account.password_hash = passwords.hashed(password)
    try:
        if mode == "first" and _claim_ownership(now):
            account.email_proof = EmailProof.FIRST_OWNER
            add(account, Role.OWNER)
        else:
            _add_staff(account, invitation_code, proof, origin, now)
    except IntegrityError as error:
        db.session.rollback()
        raise AccountTaken from error
    except RecipientUnproven as unproven:
        recipient_verification.mail_code(unproven, origin=origin, now=now)
        raise
    if not account.email_is_proven:
        verification.send(account, Purpose.ACTIVATION, now=now)
    record_registration(account, origin, now)
    return account


def _add_staff(
    account: Account, invitation_code: str | None, proof: Proof, origin: Origin, now: datetime
) -> None:
    if settings.admin_registration == "open":
        add(account, Role.ADMIN)
    elif invitation_code:
        redemptions.enlist(invitation_code, account, origin=origin, now=now, proof=proof)
    else:
        raise RegistrationClosed


def create_owner(
    *, email: str, username: str, password: str, origin: Origin, now: datetime
) -> Account:
    """Add an owner from the command line, even if there is one. Raises as `register` does."""
    account = _new_staff(email, username, password, now)
    account.password_hash = passwords.hashed(password)
    account.email_proof = EmailProof.COMMAND_LINE
    try:
        _claim_ownership(now)
        add(account, Role.OWNER)
    except IntegrityError as error:
        db.session.rollback()
        raise AccountTaken from error
    record_registration(account, origin, now)
    return account


def sign_in(
    identity: str,
    password: str,
    *,
    origin: Origin,
    now: datetime,
    replaces: Session | None = None,
    surface: Surface = Surface.BROWSER,
    dialect: str | None = None,
    lasts: timedelta | None = None,
    least: Role = Role.MEMBER,
    email_proven: bool = False,
) -> Session:
    """Authenticate and open a session, ending `replaces`. Raises as `authenticate` does."""
    account = authenticate(
        identity, password, origin=origin, now=now, least=least, email_proven=email_proven
    )
    return start_session(
        account,
        origin=origin,
        now=now,
        replaces=replaces,
        surface=surface,
        dialect=dialect,
        lasts=lasts,
    )


def authenticate(
    identity: str,
    password: str,
    *,
    origin: Origin,
    now: datetime,
    least: Role = Role.MEMBER,
    email_proven: bool = False,
) -> Account:
    """Authenticate by password alone, for clients that cannot ask for a second factor.

    With `email_proven`, accounts with an unproven e-mail are rejected, staff included: for dialects
    that pass the e-mail on to other services and have no way to mark it as unproven.

    Raises as `first_step` does, and `SecondFactorRequired`.
    """
    account, another_follows = first_step(identity, password, origin=origin, now=now, least=least)
    if email_proven and not account.email_is_proven:
        raise EmailUnconfirmed
    if another_follows or two_factor.are_due(account):
        raise SecondFactorRequired
    return account


def first_step(
    identity: str, password: str, *, origin: Origin, now: datetime, least: Role = Role.MEMBER
) -> tuple[Account, bool]:
    """Check the password of `identity` (e-mail or username); also return whether 2FA follows.

    Accounts below the role `least` are treated as unknown. Raises `LockedOut`,
    `InvalidCredentials`, and, for the right password, `AccountDeactivated` or `EmailUnconfirmed`.
    """
    account, device_is_known, has_passkey = _find_at_device(identity, origin)
    if account is not None and account.role.rank < least.rank:
        account, device_is_known = None, False
    attempt = SignIn(names.key(identity), origin, device_is_known)
    account = password_check.prove(attempt, account, password, now)
    require_open(account)
    # Wrong guesses within a hijacked session must not keep the owner from changing the password.
    lockout.forgive_sign_ins([reauthentication.name_of_tries(account)], [])
    if account.failed_sign_ins:
        account.failed_sign_ins = 0
    return account, two_factor.are_set_up(account, has_passkey=has_passkey)


def require_open(account: Account) -> None:
    """Raise `AccountDeactivated` or `EmailUnconfirmed` if nobody may sign in to the account."""
    if account.deactivated_at is not None:
        raise AccountDeactivated
    if account.confirmed_at is None:
        raise EmailUnconfirmed


def attempt_at(identity: str, account: Account | None, origin: Origin) -> SignIn:
    """A sign-in attempt for `identity` from this device."""
    known = account is not None and sessions.knows_device(account.id, origin)
    return SignIn(names.key(identity), origin, known)


def start_session(
    account: Account,
    *,
    origin: Origin,
    now: datetime,
    replaces: Session | None = None,
    surface: Surface = Surface.BROWSER,
    dialect: str | None = None,
    lasts: timedelta | None = None,
) -> Session:
    """Open a session for an authenticated account, ending `replaces`.

    A sign-in on a new device is reported by mail.
    """
    if replaces is not None:
        sessions.revoke(replaces, now=now)
    session, is_unknown = sessions.open_for_account(
        account, origin=origin, now=now, surface=surface, dialect=dialect, lasts=lasts
    )
    if is_unknown:
        outbox.queue("new_sign_in", to=account.email, about=session.id, now=now)
    audit.record("session.opened", now=now, origin=origin, actor=account.id)
    db.session.commit()
    return session


def sign_out(session: Session | Living, *, origin: Origin, now: datetime) -> None:
    """End a session, of an account or an invitee, at once."""
    sessions.revoke(session, now=now)
    audit.record("session.closed", now=now, origin=origin, actor=session.account_id)
    db.session.commit()


def sign_out_elsewhere(
    session: Session, *, origin: Origin, now: datetime, end_tokens: bool = False
) -> int:
    """End every other session of the account; return how many.

    With `end_tokens`, also revoke its API tokens.
    """
    ended = sessions.revoke_others_of(session, now=now)
    if end_tokens and session.account:
        api_tokens.revoke_all_of(session.account, by=session.account, origin=origin, now=now)
    audit.record("sessions.closed", now=now, origin=origin, actor=session.account_id, count=ended)
    db.session.commit()
    return ended


def find(identity: str) -> Account | None:
    """The account with this e-mail or username, ignoring case."""
    return db.session.scalars(_BY_KEY, {"key": names.key(identity)}).first()


def _find_at_device(identity: str, origin: Origin) -> tuple[Account | None, bool, bool]:
    """The account, whether it has signed in on this device before, and whether it has a passkey.

    One query for everything a sign-in needs before the password.
    """
    values = {"key": names.key(identity), "device": origin.place}
    found = db.session.execute(_BY_KEY_AT_DEVICE, values).first()
    return (None, False, False) if found is None else (*found,)


_HAS_KEY = sa.or_(Account.email == sa.bindparam("key"), Account.username_key == sa.bindparam("key"))
_BY_KEY = sa.select(Account).where(_HAS_KEY)
_BY_KEY_AT_DEVICE = sa.select(
    Account,
    sa.exists().where(Session.account_id == Account.id, Session.device == sa.bindparam("device")),
    sa.exists().where(Passkey.account_id == Account.id),
).where(_HAS_KEY)


def new(email: str, username: str, password: str, now: datetime) -> Account:
    """A new account, not stored yet; the caller hashes the password last.

    Raises `BadInput`, `InvalidEmail`, `WeakPassword`.
    """
    username = names.username(username)
    address = emails.normalise(email)
    passwords.require_strong(password)
    return Account(
        id=new_id(),
        email=address,
        username=username,
        username_key=names.key(username),
        created_at=now,
        language=settings.locale,
    )


def add(account: Account, role: Role) -> None:
    """Store a new account and draw its serial. Takes part in the caller's transaction."""
    account.role = role
    account.serial = serials.draw()
    db.session.add(account)
    db.session.flush()


def record_registration(account: Account, origin: Origin, now: datetime) -> None:
    """Record the registration and commit: the last step of registering."""
    audit.record(
        "account.registered",
        now=now,
        origin=origin,
        actor=account.id,
        subject=account.id,
        role=account.role,
    )
    db.session.commit()


def _new_staff(email: str, username: str, password: str, now: datetime) -> Account:
    """A staff account: open at once, since a code vouches for it. Its e-mail is proven later."""
    account = new(email, username, password, now)
    account.confirmed_at = now
    return account


def _claim_ownership(now: datetime) -> bool:
    """Claim the portal for its first owner; False if that was done before."""
    claimed = db.session.execute(
        sa.update(Installation)
        .where(Installation.owned_since.is_(None))
        .values(owned_since=now)
        .returning(Installation.id)
    ).first()
    return claimed is not None
