"""Sessions: opened at sign-in or redemption, checked on every request, revocable at once."""

from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, TypeVar
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import joinedload
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.sql.base import ExecutableOption

from portal.db import hot
from portal.db.hot import Statement
from portal.db.types import UTCDateTime
from portal.domain.accounts import two_factor
from portal.domain.client import Origin
from portal.domain.errors import NotFound
from portal.extensions import db
from portal.models import Account, Redemption, Session, Surface

STAFF_IDLE = timedelta(minutes=30)
STAFF_LONGEST = timedelta(hours=12)
MEMBER_LONGEST = timedelta(days=30)
INVITEE_LONGEST = timedelta(days=30)
SEEN_EVERY = timedelta(minutes=1)


class Living(NamedTuple):
    """An active session of an account, with the columns API requests need."""

    id: UUID
    surface: Surface
    dialect: str | None
    last_seen_at: datetime
    expires_at: datetime
    account: Account

    @property
    def account_id(self) -> UUID:
        """The account's id."""
        return self.account.id


Seen = TypeVar("Seen", Session, Living)


def open_for_account(
    account: Account,
    *,
    origin: Origin,
    now: datetime,
    surface: Surface = Surface.BROWSER,
    dialect: str | None = None,
    lasts: timedelta | None = None,
) -> tuple[Session, bool]:
    """A new session, and whether it is the first on this device of an account that had others.

    Takes part in the caller's transaction. Only browser sessions of staff time out when idle.
    """
    longest = STAFF_LONGEST if account.role.is_staff else MEMBER_LONGEST
    ends = now + (lasts or longest)
    row = _row(origin, now, ends, account_id=account.id, surface=surface, dialect=dialect)
    known = sa.select(_IS_SIGNED_IN, _IS_KNOWN)
    others = {"account": account.id, "device_asked": origin.place}
    was_anywhere, was_here = db.session.execute(known, others).one()
    session = _opened(row)
    set_committed_value(session, "account", account)
    return session, was_anywhere and not was_here


def open_for_redemption(redemption: Redemption, *, origin: Origin, now: datetime) -> Session:
    """The redemption's session, opened if there is none; takes part in the caller's transaction."""
    living = db.session.scalars(
        sa.select(Session)
        .where(Session.redemption_id == redemption.id, *_alive(now))
        .order_by(Session.created_at)
    ).first()
    if living is not None:
        return living
    row = _row(origin, now, now + INVITEE_LONGEST, redemption_id=redemption.id)
    session = _opened(row)
    set_committed_value(session, "redemption", redemption)
    return session


def find_staff(id: UUID, *, now: datetime) -> Session | None:
    """The active session with its account; finding it resets its idle timeout."""
    return _find(id, now, Session.account_id.is_not(None), joinedload(Session.account))


def find_for_program(id: UUID, *, now: datetime) -> Living | None:
    """Like `find_staff`, but read-only and cheap: API clients call it on every request.

    Finds nothing for staff who still have to set up 2FA, which only the web pages can tell them.
    The account is detached, in its committed state, with the columns in `_ASKED_OF_ITS_ACCOUNT`.
    """
    row = hot.first(_of_an_account(), {"id": id, "now": now})
    if row is None:
        return None
    surface, dialect, last_seen_at, expires_at, *columns = row
    account = hot.entity(Account, dict(zip(_ASKED_OF_ITS_ACCOUNT, columns, strict=True)))
    return _seen(Living(id, surface, dialect, last_seen_at, expires_at, account), now)


_ASKED_OF_ITS_ACCOUNT = (
    *("id", "serial", "email", "username", "role"),
    *("invitations_issued", "deactivated_at"),
)


@cache
def _of_an_account() -> Statement:
    named, moment = (
        sa.bindparam("id", type_=Session.id.type),
        sa.bindparam("now", type_=UTCDateTime),
    )
    account = Account.__table__
    columns = [account.c[name] for name in _ASKED_OF_ITS_ACCOUNT]
    return Statement(
        sa.select(Session.surface, Session.dialect, Session.last_seen_at, Session.expires_at)
        .add_columns(*columns)
        .join(account, Session.account_id == account.c.id)
        .where(Session.id == named, *_alive(moment), sa.not_(two_factor.DUE))
    )


def find_invitee(id: UUID, *, now: datetime) -> Session | None:
    """The active session of an invitee, with its redemption and invitation."""
    came_by = joinedload(Session.redemption).joinedload(Redemption.invitation)
    return _find(id, now, Session.redemption_id.is_not(None), came_by)


def _find(
    id: UUID, now: datetime, kind: sa.ColumnElement[bool], beside: ExecutableOption
) -> Session | None:
    session = db.session.scalars(
        sa.select(Session).where(Session.id == id, kind, *_alive(now)).options(beside)
    ).first()
    return None if session is None else _seen(session, now)


def _seen(session: Seen, now: datetime) -> Seen | None:
    """The session marked as seen now; None if it is idle or its account deactivated."""
    if _is_idle(session, now) or _is_deactivated(session):
        return None
    if now - session.last_seen_at >= SEEN_EVERY:
        _change(session, last_seen_at=now)
        db.session.commit()
    return session


def _change(session: Session | Living, **values: datetime) -> None:
    db.session.execute(sa.update(Session).where(Session.id == session.id).values(values))


def revoke(session: Session | Living, *, now: datetime) -> None:
    """End one session; takes part in the caller's transaction."""
    _change(session, revoked_at=now)


def revoke_all_of(account: UUID, *, now: datetime) -> int:
    """End every session of an account; return how many. Takes part in the transaction."""
    return _revoke(Session.account_id == account, now)


def revoke_admitted_by(invitation: UUID, *, now: datetime) -> int:
    """End the sessions an invitation opened; return how many. Part of the transaction."""
    return _revoke(Session.redemption_id.in_(_redemptions_of(invitation)), now)


def count_admitted_by(invitation: UUID, *, now: datetime) -> int:
    """How many active sessions an invitation opened."""
    return (
        db.session.scalar(
            sa.select(sa.func.count())
            .select_from(Session)
            .where(Session.redemption_id.in_(_redemptions_of(invitation)), *_alive(now))
        )
        or 0
    )


def living_in(dialect: str, account: UUID, *, now: datetime) -> Session | None:
    """The account's session in a dialect that allows one; an expired one is ended.

    Takes part in the caller's transaction.
    """
    in_dialect = (
        Session.account_id == account,
        Session.dialect == dialect,
        Session.revoked_at.is_(None),
    )
    db.session.execute(
        sa.update(Session)
        .where(*in_dialect, Session.expires_at <= now)
        .values(revoked_at=now)
        .execution_options(synchronize_session=False)
    )
    return db.session.scalars(sa.select(Session).where(*in_dialect)).first()


def revoke_others_of(session: Session, *, now: datetime) -> int:
    """End every other session of its account; return how many. Part of the transaction."""
    return _revoke(sa.and_(Session.account_id == session.account_id, Session.id != session.id), now)


def living_of(account: UUID, *, now: datetime) -> list[Session]:
    """The account's active sessions, most recently seen first."""
    living = db.session.scalars(
        sa.select(Session)
        .where(Session.account_id == account, *_alive(now))
        .options(joinedload(Session.account))
        .order_by(Session.last_seen_at.desc(), Session.id)
    )
    return [session for session in living if not _is_idle(session, now)]


def devices_of(account: UUID) -> list[str]:
    """Digests of the devices the account used lately."""
    latest = sa.func.max(Session.last_seen_at).desc()
    by_device = sa.select(Session.device).where(Session.account_id == account)
    grouped = by_device.group_by(Session.device).order_by(latest).limit(100)
    return list(db.session.scalars(grouped))


def one_of(account: UUID, id: UUID, *, now: datetime) -> Session:
    """One active session of the account; raises `NotFound`, also for another account's."""
    found = [session for session in living_of(account, now=now) if session.id == id]
    if not found:
        raise NotFound
    return found[0]


def knows_device(account: UUID, origin: Origin) -> bool:
    """Whether the account has ever signed in on this device."""
    asked = {"account": account, "device_asked": origin.place}
    return bool(db.session.scalar(sa.select(_IS_KNOWN), asked))


_ANYWHERE = Session.account_id == sa.bindparam("account", type_=Session.account_id.type)
_IS_SIGNED_IN = sa.exists().where(_ANYWHERE)
_IS_KNOWN = sa.exists().where(_ANYWHERE, Session.device == sa.bindparam("device_asked"))


def _row(
    origin: Origin,
    now: datetime,
    ends: datetime,
    *,
    account_id: UUID | None = None,
    redemption_id: UUID | None = None,
    surface: Surface = Surface.BROWSER,
    dialect: str | None = None,
) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "account_id": account_id,
        "redemption_id": redemption_id,
        "surface": surface,
        "dialect": dialect,
        "device": origin.place,
        "address": origin.address,
        "client": origin.client[:255],
        "created_at": now,
        "last_seen_at": now,
        "expires_at": ends,
        "revoked_at": None,
        "wrong_passwords": 0,
    }


def _opened(row: dict[str, Any]) -> Session:
    session = Session(**row)
    db.session.add(session)
    db.session.flush()
    return session


def _is_idle(session: Session | Living, now: datetime) -> bool:
    if session.account_id is None or session.surface is not Surface.BROWSER:
        return False
    is_staff = session.account is not None and session.account.role.is_staff
    return is_staff and now - session.last_seen_at >= STAFF_IDLE


def _is_deactivated(session: Session | Living) -> bool:
    if session.account_id is None:
        return False
    return session.account is None or session.account.deactivated_at is not None


def _alive(now: datetime | sa.BindParameter[datetime]) -> tuple[sa.ColumnElement[bool], ...]:
    return Session.revoked_at.is_(None), Session.expires_at > now


def _redemptions_of(invitation: UUID) -> sa.Select[UUID]:
    return sa.select(Redemption.id).where(Redemption.invitation_id == invitation)


def _revoke(which: sa.ColumnElement[bool], now: datetime) -> int:
    ended = db.session.execute(
        sa.update(Session)
        .where(which, *_alive(now))
        .values(revoked_at=now)
        .returning(Session.id)
        .execution_options(synchronize_session=False)
    )
    return len(ended.all())
