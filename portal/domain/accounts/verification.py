"""Verification codes and links: proof of a mailbox, or of a completed step.

Each is valid for one purpose, for a limited time, and once: a single UPDATE uses it up, so of two
concurrent requests one succeeds. Only digests are stored; the code itself stays readable just until
its mail has been sent.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

import sqlalchemy as sa
from limits import RateLimitItemPerDay, RateLimitItemPerHour
from sqlalchemy.orm import joinedload

from portal.config import settings
from portal.db.types import new_id
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.crypto import keys, sealing
from portal.domain.errors import AskedTooOften, NotFound, VerificationRefused
from portal.domain.invitations import codes
from portal.domain.lockout import lockout
from portal.domain.lockout.counters import counting
from portal.domain.lockout.lockout import Kind
from portal.domain.mail import outbox
from portal.extensions import db
from portal.models import Account, Invitation, Purpose, Verification

CODE_LENGTH = 8
CODE_LASTS = timedelta(minutes=10)
LINK_LASTS = timedelta(hours=24)
TRIES = 5

_WITH_LINK = {Purpose.ACTIVATION, Purpose.NEW_EMAIL}
_SEAL = "verification seal"
# Per kind of mail: requesting one kind in another's name must not block the others.
_MAILS = RateLimitItemPerHour(3, namespace="mails to a mailbox")
_WRONG_CODES = RateLimitItemPerDay(TRIES, namespace="wrong codes")


def send(
    account: Account,
    purpose: Purpose,
    *,
    now: datetime,
    email: str | None = None,
    dialect: str | None = None,
) -> Verification | None:
    """Mail a code, and a link if the purpose has one, to `email` or the account's own address.

    Takes part in the caller's transaction. Beyond three mails an hour to one mailbox, it silently
    sends nothing and returns None.
    """
    to = email or account.email
    if not may_write_to(to, purpose, now=now):
        return None
    row = _mailed(_of_account(account.id, purpose), to, now)
    row.dialect = dialect
    return row


def send_to_recipient(invitation: UUID, email: str, *, now: datetime) -> None:
    """Mail a code by which `email` proves that it may redeem a bound invitation.

    Takes part in the caller's transaction; beyond three mails an hour, nothing is sent.
    """
    if may_write_to(email, Purpose.RECIPIENT, now=now):
        _mailed(_of_recipient(invitation, email), email, now)


def hand_out_code(account: Account, purpose: Purpose, *, now: datetime) -> str:
    """A code for the next step, returned instead of mailed. Takes part in the transaction."""
    code = _drawn_code()
    _new_row(_of_account(account.id, purpose), code, "", now)
    return code


def hand_out_token(
    account: Account, purpose: Purpose, *, now: datetime, lasts: timedelta = CODE_LASTS
) -> str:
    """A long token for the next step, for `confirm_link`. Takes part in the transaction."""
    token = secrets.token_urlsafe(32)
    _new_row(_of_account(account.id, purpose), "", token, now).expires_at = now + lasts
    return token


def may_write_to(email: str, kind: str, *, now: datetime) -> bool:
    """Count a mail of this kind to this mailbox; False over the limit. Part of the transaction."""
    return counting(now).hit(_MAILS, kind, sha256(email.encode()).hexdigest())


def require_patience(origin: Origin, *, now: datetime) -> None:
    """Count one requested mail; raise `AskedTooOften` over the network address's rate limit.

    Takes part in the caller's transaction.
    """
    most = RateLimitItemPerHour(settings.address_misses_per_hour, namespace="mails asked for")
    if not counting(now).hit(most, origin.address_bucket):
        raise AskedTooOften


def confirm(
    account: Account | None, purpose: Purpose, code: str, *, origin: Origin, now: datetime
) -> Verification:
    """Use up a code. Takes part in the caller's transaction, but commits a failure.

    Raises `VerificationRefused`, the same for an unknown account as for a wrong code, and
    `LockedOut` for an address that guesses.
    """
    lockout.require_address_unlocked(Kind.SIGNING_IN, origin, now=now)
    used = _use_code(_of_account(account.id, purpose), code, now) if account else None
    if used is None:
        _note_wrong_code(purpose, account.id if account else None, origin, now)
        db.session.commit()
        raise VerificationRefused
    return used


def confirm_recipient(
    invitation: UUID, email: str, code: str, *, origin: Origin, now: datetime
) -> None:
    """Use up the code mailed to `email` about an invitation.

    Takes part in the caller's transaction, which is to be committed on failure as well, so that the
    miss is counted. Raises `VerificationRefused`.
    """
    if _use_code(_of_recipient(invitation, email), code, now) is None:
        _note_wrong_code(Purpose.RECIPIENT, None, origin, now)
        raise VerificationRefused


def confirm_link(token: str, purpose: Purpose, *, now: datetime) -> Verification:
    """Use up a link; load its account. Takes part in the caller's transaction.

    Raises `VerificationRefused`.
    """
    found = by_link(token, purpose)
    if found is None:
        raise VerificationRefused
    _lock_account(found.account_id)
    used = _use(now, Verification.id == found.id, Verification.expires_at > now)
    if used is None:
        raise VerificationRefused
    return used


def by_link(token: str, purpose: Purpose) -> Verification | None:
    """The row behind a link, even if used or expired, with its account. Read-only."""
    return db.session.scalars(
        sa.select(Verification)
        .where(Verification.link_digest == _token_digest(token), Verification.purpose == purpose)
        .options(joinedload(Verification.account))
    ).first()


def void(account: UUID, *, now: datetime) -> None:
    """Invalidate everything sent before now. Takes part in the transaction."""
    db.session.execute(
        sa.update(Verification)
        .where(Verification.account_id == account, Verification.used_at.is_(None))
        .values(used_at=now, sealed=None)
        .execution_options(synchronize_session=False)
    )


def contents(id: UUID) -> tuple[Verification, str, str]:
    """The row with its subject, its code and its link's token, for a mail not sent yet.

    Raises `NotFound` once it was used or its mail was sent.
    """
    about = joinedload(Verification.invitation).joinedload(Invitation.batch)
    options = [joinedload(Verification.account), about]
    row = db.session.get(Verification, id, options=options, populate_existing=True)
    if row is None or row.sealed is None:
        raise NotFound
    opened = sealing.unseal(row.sealed, purpose=_SEAL, row=row.id.bytes).decode()
    code, _, token = opened.partition(" ")
    return row, code, token


@dataclass(frozen=True)
class _Subject:
    """What a code is about: a purpose of one account, or one address of a bound invitation.

    `name` identifies its codes and its wrong attempts.
    """

    purpose: Purpose
    name: str
    account_id: UUID | None = None
    invitation_id: UUID | None = None
    email: str | None = None

    @property
    def rows(self) -> sa.ColumnElement[bool]:
        """All rows about it."""
        if self.account_id is not None:
            return sa.and_(
                Verification.account_id == self.account_id, Verification.purpose == self.purpose
            )
        return sa.and_(
            Verification.invitation_id == self.invitation_id, Verification.email == self.email
        )


def _of_account(account: UUID, purpose: Purpose) -> _Subject:
    return _Subject(purpose, str(account), account_id=account)


def _of_recipient(invitation: UUID, email: str) -> _Subject:
    name = f"{invitation} {email}"
    return _Subject(Purpose.RECIPIENT, name, invitation_id=invitation, email=email)


def _mailed(subject: _Subject, to: str, now: datetime) -> Verification:
    """A new code, and a link if the purpose has one, with its mail queued."""
    token = secrets.token_urlsafe(32) if subject.purpose in _WITH_LINK else ""
    code = _drawn_code()
    row = _new_row(subject, code, token, now)
    row.email = to
    row.sealed = sealing.seal(f"{code} {token}".encode(), purpose=_SEAL, row=row.id.bytes)
    db.session.flush()
    outbox.queue(subject.purpose, to=to, about=row.id, now=now)
    return row


def _new_row(subject: _Subject, code: str, token: str, now: datetime) -> Verification:
    row = Verification(
        id=new_id(),
        account_id=subject.account_id,
        invitation_id=subject.invitation_id,
        purpose=subject.purpose,
        digest=_code_digests(subject, code)[0] if code else None,
        link_digest=_token_digest(token) if token else None,
        misses=0,
        created_at=now,
        expires_at=now + (LINK_LASTS if token else CODE_LASTS),
    )
    db.session.add(row)
    return row


def _note_wrong_code(purpose: Purpose, actor: UUID | None, origin: Origin, now: datetime) -> None:
    # The budget that the caller's attempt was measured against.
    kind = Kind.REDEEMING if purpose is Purpose.RECIPIENT else Kind.SIGNING_IN
    lockout.miss(kind, origin, now=now)
    audit.record("code.wrong", now=now, origin=origin, actor=actor, purpose=purpose)


def _use_code(subject: _Subject, code: str, now: datetime) -> Verification | None:
    """The row this code uses up, if it is right. The attempt is counted before the check."""
    if not counting(now).hit(_WRONG_CODES, subject.purpose, subject.name):
        return None
    if subject.account_id is not None:
        _lock_account(subject.account_id)
    fresh = sa.and_(
        subject.rows, Verification.created_at > now - CODE_LASTS, Verification.misses < TRIES
    )
    used = _use(now, fresh, Verification.digest.in_(_code_digests(subject, code)))
    if used is None:
        db.session.execute(
            sa.update(Verification)
            .where(fresh, Verification.used_at.is_(None))
            .values(misses=Verification.misses + 1)
            .execution_options(synchronize_session=False)
        )
        return None
    counting(now).clear(_WRONG_CODES, subject.purpose, subject.name)
    return used


def _lock_account(id: UUID | None) -> None:
    """Serialise confirmations for one account by locking its row first."""
    db.session.execute(sa.select(Account.id).where(Account.id == id).with_for_update())


def _use(now: datetime, *conditions: sa.ColumnElement[bool]) -> Verification | None:
    used = db.session.scalar(
        sa.update(Verification)
        .where(*conditions, Verification.used_at.is_(None))
        .values(used_at=now, sealed=None)
        .returning(Verification.id)
        .execution_options(synchronize_session=False)
    )
    if used is None:
        return None
    return db.session.get(
        Verification, used, options=[joinedload(Verification.account)], populate_existing=True
    )


def _drawn_code() -> str:
    return "".join(secrets.choice(codes.ALPHABET) for _ in range(CODE_LENGTH))


def _code_digests(subject: _Subject, code: str) -> list[bytes]:
    """The digest under each key. Codes are short: a stolen database must not reveal them."""
    text = f"{subject.name} {subject.purpose} {codes.canonical(code)}".encode()
    return keys.macs("verification code", text)


def _token_digest(token: str) -> bytes:
    """A plain hash: 256 random bits need no key."""
    return sha256(token.encode()).digest()
