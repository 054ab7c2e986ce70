"""The installation's state: its secret key, last backup and last pruning."""

from datetime import datetime, timedelta
from hmac import compare_digest

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag

from portal.domain.audit import audit
from portal.domain.client import COMMAND_LINE
from portal.domain.crypto import keys
from portal.domain.invitations import codes
from portal.extensions import db
from portal.models import Installation, Invitation

FOREIGN_KEY = (
    "The database was made with another SECRET_KEY: none of its codes, sessions and sealed secrets "
    "can be used. Start with that key, or add it to SECRET_KEY_FALLBACKS."
)


def get() -> Installation:
    """The one row."""
    return db.session.scalars(sa.select(Installation)).one()


def recognise_key(*, now: datetime) -> bool:
    """Whether the database matches the current secret key, or one it replaced. Commits.

    A first key, and one that replaced another, are recorded; an unrelated one never is.
    """
    known = db.session.scalar(sa.select(Installation.key_check))
    checks = keys.derive_all("key check")
    if known is None:
        fits = _opens_the_newest_code()
    else:
        fits = any(compare_digest(known, check) for check in checks)
    if fits and known != checks[0]:
        _adopt(checks[0], known, now)
    db.session.commit()
    return fits


def fingerprint() -> str:
    """Eight characters by which people can compare secret keys."""
    return keys.derive("key check").hex()[:8]


def note_backup(*, now: datetime) -> None:
    """Record that a backup was made."""
    _set(backed_up_at=now)
    audit.record("portal.backed_up", now=now, origin=COMMAND_LINE)
    db.session.commit()


def note_restoration(*, now: datetime) -> None:
    """Record that the data was restored from a backup."""
    audit.record("portal.restored", now=now, origin=COMMAND_LINE)
    db.session.commit()


def note_pruning(*, now: datetime) -> None:
    """Record when old rows were removed. Takes part in the caller's transaction."""
    _set(pruned_at=now)


def begin_pruning(every: timedelta, *, now: datetime) -> bool:
    """Claim the next pruning if it is due; True for one caller only. Commits."""
    is_due = sa.or_(Installation.pruned_at.is_(None), Installation.pruned_at <= now - every)
    # Runs in every round of the worker: write only if it is due.
    if db.session.scalar(sa.select(Installation.id).where(is_due)) is None:
        return False
    begun = db.session.execute(
        sa.update(Installation)
        .where(is_due)
        .values(pruned_at=now)
        .returning(Installation.id)
        .execution_options(synchronize_session=False)
    ).first()
    db.session.commit()
    return begun is not None


def _adopt(check: bytes, before: bytes | None, now: datetime) -> None:
    """Record the key; of several processes starting at once, one does."""
    adopted = db.session.execute(
        sa.update(Installation)
        .where(Installation.key_check == before if before else Installation.key_check.is_(None))
        .values(key_check=check, key_since=now)
        .returning(Installation.id)
        .execution_options(synchronize_session=False)
    ).first()
    if adopted and before:
        audit.record("key.replaced", now=now, fingerprint=check.hex()[:8])


def _opens_the_newest_code() -> bool:
    """For a database from before keys were recorded: try to decrypt its newest code."""
    newest = db.session.scalars(sa.select(Invitation).order_by(Invitation.id.desc()).limit(1))
    invitation = newest.first()
    if invitation is None:
        return True
    try:
        codes.unseal(invitation.sealed, invitation.id)
    except InvalidTag:
        return False
    return True


def _set(**values: datetime) -> None:
    db.session.execute(
        sa.update(Installation).values(**values).execution_options(synchronize_session=False)
    )
