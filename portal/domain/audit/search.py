"""Audit search: filters, pages and export of the audit log.

Pages are keyed by event number, so that each costs the same.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from portal.domain.accounts import names
from portal.domain.audit import audit, chain
from portal.domain.client import Origin
from portal.domain.errors import NotAllowed
from portal.domain.exports import formulas
from portal.extensions import db
from portal.models import Account, AuditEvent, Batch, Invitation, Role

HEADINGS = [
    *("number", "at", "action", "actor", "subject", "about"),
    *("device", "address", "details", "hash"),
]
SHORTEST_DEVICE = 8  # characters, for a device to be found by its digest
RECENT = 2000

_Actor, _Person = aliased(Account), aliased(Account)


@dataclass(frozen=True, kw_only=True)
class Query:
    """Filters of an audit search.

    `action` is a prefix ("code." matches everything about codes); `actor` a username. `since` and
    `until` are UTC days, both inclusive. `before` and `after` are event numbers, exclusive.
    """

    text: str = ""
    action: str = ""
    actor: str = ""
    subject: UUID | None = None
    since: date | None = None
    until: date | None = None
    before: int | None = None
    after: int | None = None
    size: int = 50


@dataclass(frozen=True)
class Entry:
    """An event with its actor and subject, by the names people know."""

    event: AuditEvent
    actor: str
    about: str
    is_about_invitation: bool


@dataclass(frozen=True)
class Page:
    """Up to `query.size` events, newest first, and where the newer and older pages begin."""

    entries: list[Entry]
    newer: int | None
    older: int | None


def find(query: Query) -> Page:
    """One page of the events that match `query`. Commits."""
    chain.catch_up()
    events = _statement(query).limit(query.size + 1)
    is_forward = query.after is None
    events = events.order_by(AuditEvent.number.desc() if is_forward else AuditEvent.number)
    entries = [_entry(row) for row in db.session.execute(events)]
    more = len(entries) > query.size
    entries = entries[: query.size]
    if not is_forward:
        entries.reverse()
    if not entries:
        return Page([], None, None)
    has_newer = more if not is_forward else query.before is not None
    has_older = more if is_forward else True
    return Page(
        entries,
        entries[0].event.number if has_newer else None,
        entries[-1].event.number if has_older else None,
    )


def actions() -> list[str]:
    """The actions of recent events, sorted. Commits."""
    chain.catch_up()
    recent = sa.select(AuditEvent.action).order_by(AuditEvent.number.desc()).limit(RECENT)
    kinds = sa.select(recent.subquery().c.action).distinct()
    return sorted(db.session.scalars(kinds))


def export(query: Query, *, by: Account, origin: Origin, now: datetime) -> Iterator[list[str]]:
    """All events that match `query` as rows of text, oldest first, safe for spreadsheets.

    The first row holds the headings. The export is itself an event, committed at once. Raises
    `NotAllowed`.
    """
    if not by.may(Role.OWNER):
        raise NotAllowed
    audit.record("audit.exported", now=now, origin=origin, actor=by.id)
    chain.catch_up()
    return _rows(query)


def _rows(query: Query) -> Iterator[list[str]]:
    yield HEADINGS
    events = _statement(query).order_by(AuditEvent.number)
    with db.session.execute(events.execution_options(yield_per=1000)) as found:
        for row in found:
            yield _cells(_entry(row))


def _cells(entry: Entry) -> list[str]:
    event = entry.event
    texts = [
        str(event.number),
        event.at.isoformat(),
        event.action,
        entry.actor,
        str(event.subject_id or ""),
        entry.about,
        event.device or "",
        event.address or "",
        json.dumps(event.details, ensure_ascii=False, sort_keys=True),
        event.hash,
    ]
    return [formulas.neutralise(text) for text in texts]


def _statement(query: Query) -> sa.Select[*tuple[Any, ...]]:
    return (
        sa.select(AuditEvent, _Actor.username, _Person.username, Batch.name, Invitation)
        .select_from(AuditEvent)  # explicit: concurrent compilation may fail to infer it
        .outerjoin(_Actor, _Actor.id == AuditEvent.actor_id)
        .outerjoin(_Person, _Person.id == AuditEvent.subject_id)
        .outerjoin(Batch, Batch.id == AuditEvent.subject_id)
        .outerjoin(Invitation, Invitation.id == AuditEvent.subject_id)
        .where(*_criteria(query))
    )


def _entry(row: Any) -> Entry:
    event, actor, person, batch, invitation = row
    if invitation is None:
        return Entry(event, actor or "", person or batch or "", is_about_invitation=False)
    name = invitation.label or invitation.recipient or f"…{invitation.hint}"
    return Entry(event, actor or "", name, is_about_invitation=True)


def _criteria(query: Query) -> Iterator[sa.ColumnElement[bool]]:
    if query.text:
        yield _mentions(query.text)
    if query.action:
        yield AuditEvent.action.startswith(_storable(query.action), autoescape=True)
    if query.actor:
        yield _Actor.username_key == names.key(query.actor)
    if query.subject:
        yield AuditEvent.subject_id == query.subject
    if query.since:
        yield AuditEvent.at >= _midnight(query.since)
    if query.until and query.until < date.max:
        yield AuditEvent.at < _midnight(query.until + timedelta(days=1))
    yield from _beside(query)


def _beside(query: Query) -> Iterator[sa.ColumnElement[bool]]:
    if query.before is not None:
        yield AuditEvent.number < query.before
    if query.after is not None:
        yield AuditEvent.number > query.after


def _mentions(text: str) -> sa.ColumnElement[bool]:
    text = _storable(text)
    found = [
        AuditEvent.action.icontains(text, autoescape=True),
        AuditEvent.address == text,
        _Actor.username.icontains(text, autoescape=True),
        _Person.username.icontains(text, autoescape=True),
        Batch.name.icontains(text, autoescape=True),
        Invitation.label.icontains(text, autoescape=True),
        Invitation.recipient.icontains(text, autoescape=True),
    ]
    if len(text) >= SHORTEST_DEVICE:
        found.append(AuditEvent.device.startswith(text.lower(), autoescape=True))
    return sa.or_(*found)


def _storable(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")  # Postgres rejects NUL


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)
