"""Codes and links by which people show that a mailbox is theirs, or that they took the step before.

Each is good for one purpose, for a while, and once: one UPDATE uses it up, so that of two that come
at the same moment one succeeds. Digests are stored; what was drawn stays readable only until its
mail has gone out.
"""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

import sqlalchemy as sa
from limits import RateLimitItemPerDay, RateLimitItemPerHour
from sqlalchemy.orm import joinedload

from portal.config import settings
from portal.db.types import new_id
from portal.domain import attempts, audit, codes, keys, outbox, sealing
from portal.domain.counters import counting
from portal.domain.errors import AskedTooOften, NotFound, VerificationRefused
from portal.domain.origin import Origin
from portal.extensions import db
from portal.models import Account, Purpose, Verification

CODE_LENGTH = 8
CODE_LASTS = timedelta(minutes=10)
LINK_LASTS = timedelta(hours=24)
TRIES = 5

_WITH_LINK = {Purpose.ACTIVATION, Purpose.NEW_EMAIL}
_SEAL = "verification seal"
# By the kind of mail: whoever asks for one kind in another's name must not hold up the others.
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
    """Mail a code, and a link if the purpose has one, to `email` or else the account's own address.

    Takes part in the caller's transaction. Past three an hour to one mailbox, nothing is sent and
    nothing is said: None.
    """
    to = email or account.email
    if not may_write_to(to, purpose, now=now):
        return None
    code, token = _drawn_code(), secrets.token_urlsafe(32) if purpose in _WITH_LINK else ""
    row = _new_row(account, purpose, code, token, now)
    row.email, row.dialect = to, dialect
    row.sealed = sealing.seal(f"{code} {token}".encode(), purpose=_SEAL, row=row.id.bytes)
    db.session.flush()
    outbox.queue(purpose, to=to, about=row.id, now=now)
    return row


def hand_out_code(account: Account, purpose: Purpose, *, now: datetime) -> str:
    """A code for the next step, given rather than mailed. Takes part in the transaction."""
    code = _drawn_code()
    _new_row(account, purpose, code, "", now)
    return code


def hand_out_token(
    account: Account, purpose: Purpose, *, now: datetime, lasts: timedelta = CODE_LASTS
) -> str:
    """A long token for the next step: `confirm_link` takes it. Takes part in the transaction."""
    token = secrets.token_urlsafe(32)
    _new_row(account, purpose, "", token, now).expires_at = now + lasts
    return token


def may_write_to(email: str, kind: str, *, now: datetime) -> bool:
    """Whether one more mail of this kind to this mailbox is fit; counts it. Part of the verb."""
    return counting(now).hit(_MAILS, kind, sha256(email.encode()).hexdigest())


def require_patience(origin: Origin, *, now: datetime) -> None:
    """Count one wish for a mail; raise `AskedTooOften` past what people behind one address have.

    Takes part in the caller's transaction.
    """
    most = RateLimitItemPerHour(settings.address_misses_per_hour, namespace="mails asked for")
    if not counting(now).hit(most, origin.address_bucket):
        raise AskedTooOften


def confirm(
    account: Account | None, purpose: Purpose, code: str, *, origin: Origin, now: datetime
) -> Verification:
    """Use a code up. Takes part in the caller's transaction; a refusal is committed.

    Raises `VerificationRefused`, for nobody's account as for a wrong code, and `LockedOut` for an
    address that guesses.
    """
    attempts.require_address_unlocked(origin, now=now)
    used = _use_code(account, purpose, code, now) if account else None
    if used is None:
        attempts.miss(origin, now=now)
        actor = account.id if account else None
        audit.record("code.wrong", now=now, origin=origin, actor=actor, purpose=purpose)
        db.session.commit()
        raise VerificationRefused
    return used


def confirm_link(token: str, purpose: Purpose, *, now: datetime) -> Verification:
    """Use a link up; its account comes with it. Takes part in the caller's transaction.

    Raises `VerificationRefused`.
    """
    found = by_link(token, purpose)
    if found is None:
        raise VerificationRefused
    used = _use(found.account_id, now, Verification.id == found.id, Verification.expires_at > now)
    if used is None:
        raise VerificationRefused
    return used


def by_link(token: str, purpose: Purpose) -> Verification | None:
    """What a link names, used or old as it may be, with its account. Asking changes nothing."""
    return db.session.scalars(
        sa.select(Verification)
        .where(Verification.link_digest == _token_digest(token), Verification.purpose == purpose)
        .options(joinedload(Verification.account))
    ).first()


def void(account: UUID, *, now: datetime) -> None:
    """Let nothing confirm that was sent before now. Takes part in the transaction."""
    db.session.execute(
        sa.update(Verification)
        .where(Verification.account_id == account, Verification.used_at.is_(None))
        .values(used_at=now, sealed=None)
        .execution_options(synchronize_session=False)
    )


def contents(id: UUID) -> tuple[Verification, str, str]:
    """The row with its account, its code and its link's token, for the mail still to be sent.

    Raises `NotFound` once it was used or its mail has gone out.
    """
    row = db.session.get(
        Verification, id, options=[joinedload(Verification.account)], populate_existing=True
    )
    if row is None or row.sealed is None:
        raise NotFound
    opened = sealing.unseal(row.sealed, purpose=_SEAL, row=row.id.bytes).decode()
    code, _, token = opened.partition(" ")
    return row, code, token


def _new_row(
    account: Account, purpose: Purpose, code: str, token: str, now: datetime
) -> Verification:
    row = Verification(
        id=new_id(),
        account_id=account.id,
        purpose=purpose,
        digest=_code_digests(account.id, purpose, code)[0] if code else None,
        link_digest=_token_digest(token) if token else None,
        misses=0,
        created_at=now,
        expires_at=now + (LINK_LASTS if token else CODE_LASTS),
    )
    db.session.add(row)
    return row


def _use_code(account: Account, purpose: Purpose, code: str, now: datetime) -> Verification | None:
    """The row this code uses up, if it is right. The try is counted before it is looked at."""
    counter = (purpose, str(account.id))
    if not counting(now).hit(_WRONG_CODES, *counter):
        return None
    fresh = sa.and_(
        Verification.account_id == account.id,
        Verification.purpose == purpose,
        Verification.created_at > now - CODE_LASTS,
        Verification.misses < TRIES,
    )
    is_right = Verification.digest.in_(_code_digests(account.id, purpose, code))
    used = _use(account.id, now, fresh, is_right)
    if used is None:
        db.session.execute(
            sa.update(Verification)
            .where(fresh, Verification.used_at.is_(None))
            .values(misses=Verification.misses + 1)
            .execution_options(synchronize_session=False)
        )
        return None
    counting(now).clear(_WRONG_CODES, *counter)
    return used


def _use(account: UUID, now: datetime, *conditions: sa.ColumnElement[bool]) -> Verification | None:
    # Two that confirm something for one account wait for each other here, in one order.
    db.session.execute(sa.select(Account.id).where(Account.id == account).with_for_update())
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


def _code_digests(account: UUID, purpose: Purpose, code: str) -> list[bytes]:
    """By each key. Codes are short: without a key, a stolen database would give them away."""
    text = f"{account} {purpose} {codes.canonical(code)}".encode()
    return keys.macs("verification code", text)


def _token_digest(token: str) -> bytes:
    """256 random bits need no key."""
    return sha256(token.encode()).digest()
