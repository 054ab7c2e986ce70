"""Account administration by staff: search, roles, sign-out, unlocking.

`deletion.may_manage` decides who may do so; only owners change roles.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from portal.domain.accounts import reauthentication, sessions, two_factor
from portal.domain.accounts.deletion import may_manage, require_another_owner, wait_for_ownership
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import NotAllowed, NotFound
from portal.domain.invitations import invitations
from portal.domain.lockout import lockout
from portal.domain.tokens import api_tokens
from portal.extensions import db
from portal.models import Account, Role

PAGE_SIZE = 50


@dataclass(frozen=True, kw_only=True)
class Query:
    """What to search for. `after` is the cursor returned with the page before."""

    text: str = ""
    role: Role | None = None
    deactivated: bool | None = None
    after: str = ""


@dataclass(frozen=True)
class Page:
    """One page of accounts by username, the total, and the cursor of the next page."""

    people: list[Account]
    total: int
    next: str | None


def find(query: Query) -> Page:
    """One page of the accounts that match `query`, without deleted ones."""
    criteria = _criteria(query)
    total = db.session.scalar(sa.select(sa.func.count()).select_from(Account).where(*criteria))
    found = list(
        db.session.scalars(
            sa.select(Account)
            .where(*criteria, Account.username_key > _storable(query.after))
            .order_by(Account.username_key)
            .limit(PAGE_SIZE + 1)
        )
    )
    has_next = len(found) > PAGE_SIZE
    people = found[:PAGE_SIZE]
    return Page(people, total or 0, people[-1].username_key if has_next else None)


def get(id: UUID) -> Account:
    """One account. Raises `NotFound`."""
    person = db.session.get(Account, id)
    if person is None or person.erased_at is not None:
        raise NotFound
    return person


def change_role(person: Account, role: Role, *, by: Account, origin: Origin, now: datetime) -> int:
    """Change a person's role, ending their sessions and revoking their codes for roles above it.

    Their API tokens are revoked too, unless both roles allow tokens. Return how many codes were
    revoked. Raises `NotAllowed`, `LastOwner`.
    """
    wait_for_ownership(by, person)
    if not by.may(Role.OWNER):
        raise NotAllowed
    if role is person.role:
        return 0
    require_another_owner(person)
    before, person.role = person.role, role
    sessions.revoke_all_of(person.id, now=now)
    withdrawn = invitations.withdraw(person, by=by, origin=origin, now=now)
    if min(before.rank, role.rank) < Role.ADMIN.rank:
        api_tokens.revoke_all_of(person, by=by, origin=origin, now=now)
    _record("account.role_changed", person, by, origin, now, before=before, role=role)
    return withdrawn


def end_sessions(
    person: Account, *, by: Account, origin: Origin, now: datetime, end_tokens: bool = False
) -> int:
    """Sign a person out everywhere; return how many sessions ended.

    With `end_tokens`, also revoke their API tokens. Raises `NotAllowed`.
    """
    _require_may_manage(by, person)
    ended = sessions.revoke_all_of(person.id, now=now)
    if end_tokens:
        api_tokens.revoke_all_of(person, by=by, origin=origin, now=now)
    _record("account.signed_out", person, by, origin, now)
    return ended


def unlock(person: Account, *, by: Account, origin: Origin, now: datetime) -> None:
    """Forget the wrong passwords counted for this person. Raises `NotAllowed`."""
    _require_may_manage(by, person)
    person.failed_sign_ins = 0
    lockout.forgive_sign_ins(_names(person), _devices(person))
    _record("account.unlocked", person, by, origin, now)


def is_locked(person: Account, *, now: datetime) -> bool:
    """Whether the person is locked out on any device after too many wrong passwords."""
    return lockout.is_closed(_names(person), _devices(person), now=now)


def _criteria(query: Query) -> list[sa.ColumnElement[bool]]:
    criteria: list[sa.ColumnElement[bool]] = [Account.erased_at.is_(None)]
    if query.text:
        text = _storable(query.text)
        full_name = Account.first_name + " " + Account.last_name
        columns = (Account.username, Account.email, full_name, Account.phone)
        criteria.append(sa.or_(*(column.icontains(text, autoescape=True) for column in columns)))
    if query.role:
        criteria.append(Account.role == query.role)
    if query.deactivated is not None:
        is_deactivated = Account.deactivated_at.is_not(None)
        criteria.append(is_deactivated if query.deactivated else sa.not_(is_deactivated))
    return criteria


def _storable(text: str) -> str:
    """The text without NUL, which Postgres cannot store."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _require_may_manage(by: Account, person: Account) -> None:
    if not may_manage(by, person):
        raise NotAllowed


def _names(person: Account) -> list[str]:
    """The names under which this person's sign-in attempts may be counted."""
    tries = two_factor.name_of_tries(person), reauthentication.name_of_tries(person)
    return [person.email, person.username_key, *tries]


def _devices(person: Account) -> list[str]:
    return sessions.devices_of(person.id)


def _record(
    action: str, person: Account, by: Account, origin: Origin, now: datetime, **details: Any
) -> None:
    audit.record(action, now=now, origin=origin, actor=by.id, subject=person.id, **details)
    db.session.commit()
