"""The invitation listing: search, sorting and pagination.

Pages are keyset pages: a cursor names the last row seen, so that page ten thousand costs no more
than the first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeVar
from uuid import UUID

import orjson
import sqlalchemy as sa
from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from itsdangerous.signer import SigningAlgorithm
from sqlalchemy.orm import joinedload

from portal.db.types import UTCDateTime
from portal.domain.crypto import keys
from portal.domain.errors import BadInput
from portal.domain.invitations import codes, issued_counter
from portal.extensions import db
from portal.models import Invitation, Status

Found = TypeVar("Found")

_NEVER = datetime(9999, 12, 31, tzinfo=UTC)  # sorts after every date


@dataclass(frozen=True)
class _Sort:
    key: sa.ColumnElement[Any]
    parse: Callable[[Any], Any]


SORTS = {
    "issued": _Sort(Invitation.id.expression, UUID),
    "label": _Sort(sa.func.lower(Invitation.label), str),
    "expires": _Sort(
        sa.func.coalesce(Invitation.expires_at, sa.literal(_NEVER, UTCDateTime)),
        datetime.fromisoformat,
    ),
    "uses": _Sort(Invitation.uses.expression, int),
}


class Query(NamedTuple):
    """Filters, sorting and position of a listing; the web pages keep them in the URL.

    `since` and `until` are UTC days, both inclusive. `cursor` comes from the page before.
    """

    text: str = ""
    statuses: tuple[Status, ...] = ()
    since: date | None = None
    until: date | None = None
    issued_by: UUID | None = None
    batch: UUID | None = None
    sort: str = "issued"
    descending: bool = True
    size: int = 25
    cursor: str = ""


@dataclass(frozen=True)
class Page:
    """Up to `query.size` invitations, the total, and the cursors of the pages on either side."""

    rows: list[Invitation]
    total: int
    previous: str | None
    next: str | None


def find(query: Query, *, now: datetime) -> Page:
    """One page of the invitations that match `query`. Raises `BadInput` for a forged cursor."""
    if query.sort not in SORTS:
        raise BadInput("There is no such column to sort by.")
    criteria = criteria_of(query, now)
    total = _total(query, criteria)
    backwards, position = read_cursor(query)
    if position is not None:
        criteria = [*criteria, _beyond(query, position, backwards)]
    # No search if the count says there is nothing to find.
    found = _found(query, criteria, backwards) if total else []
    rows, has_previous, has_next = page_of(query, found, backwards, position)
    return Page(
        [row for row, _ in rows],
        total,
        _cursor(query, "before", *rows[0]) if has_previous else None,
        _cursor(query, "after", *rows[-1]) if has_next else None,
    )


def _found(
    query: Query, criteria: list[sa.ColumnElement[bool]], backwards: bool
) -> list[tuple[Invitation, Any]]:
    """One row more than fits on a page, each with its sort key.

    Sorts ids and keys only, since whole rows of a million invitations are many times as large.
    """
    place = (
        sa.select(Invitation.id, SORTS[query.sort].key.label("key"))
        .where(*criteria)
        .order_by(*_order(query, backwards))
        .limit(query.size + 1)
        .subquery()
    )
    statement = (
        sa.select(Invitation, place.c.key)
        .join(place, place.c.id == Invitation.id)
        .order_by(*_directed(query, backwards, place.c.key, place.c.id))
        .options(joinedload(Invitation.created_by))
    )
    return [(row, key) for row, key in db.session.execute(statement)]


def narrowed(statement: sa.Select[Any], query: Query, *, now: datetime) -> sa.Select[Any]:
    """The statement with the filters and the order of `query`."""
    if query.sort not in SORTS:
        raise BadInput("There is no such column to sort by.")
    return statement.where(*criteria_of(query, now)).order_by(*_order(query, backwards=False))


def page_of(
    query: Query, rows: list[Found], backwards: bool, position: object
) -> tuple[list[Found], bool, bool]:
    """The page's rows, out of one more than fits; whether there are rows before and after."""
    more = len(rows) > query.size
    rows = rows[: query.size]
    if backwards:
        rows.reverse()
    has_previous = more if backwards else position is not None
    has_next = position is not None if backwards else more
    return rows, bool(rows) and has_previous, bool(rows) and has_next


def _total(query: Query, criteria: list[sa.ColumnElement[bool]]) -> int:
    """The total; without filters it comes from the accounts' counters."""
    if query._replace(statuses=(), text="", since=None, until=None, batch=None) != query:
        return count(criteria)
    return issued_counter.issued(query.issued_by)


def count(criteria: list[sa.ColumnElement[bool]]) -> int:
    """How many invitations meet all criteria."""
    counted = sa.select(sa.func.count()).select_from(Invitation).where(*criteria)
    return int(db.session.scalars(counted).one())


def criteria_of(query: Query, now: datetime) -> list[sa.ColumnElement[bool]]:
    """The filters of `query` as SQL criteria."""
    criteria: list[sa.ColumnElement[bool]] = []
    if query.text:
        text = query.text.replace("\0", "\N{REPLACEMENT CHARACTER}")  # Postgres rejects NUL
        criteria.append(
            sa.or_(
                Invitation.label.icontains(text, autoescape=True),
                Invitation.recipient.icontains(text, autoescape=True),
                Invitation.lookup.in_(codes.lookups(query.text)),
            )
        )
    if query.statuses:
        criteria.append(Invitation.status_at(now).in_(query.statuses))
    if query.since:
        criteria.append(Invitation.created_at >= _midnight(query.since))
    if query.until and query.until < date.max:
        criteria.append(Invitation.created_at < _midnight(query.until + timedelta(days=1)))
    if query.issued_by:
        criteria.append(Invitation.created_by_id == query.issued_by)
    if query.batch:
        criteria.append(Invitation.batch_id == query.batch)
    return criteria


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)


def _order(query: Query, backwards: bool) -> list[sa.ColumnElement[Any]]:
    return _directed(query, backwards, SORTS[query.sort].key, Invitation.id.expression)


def _directed(
    query: Query, backwards: bool, *columns: sa.ColumnElement[Any]
) -> list[sa.ColumnElement[Any]]:
    falling = query.descending != backwards
    return [column.desc() if falling else column.asc() for column in columns]


def _beyond(query: Query, position: tuple[Any, UUID], backwards: bool) -> sa.ColumnElement[bool]:
    key = SORTS[query.sort].key
    here = sa.tuple_(key, Invitation.id)
    there = sa.tuple_(
        sa.literal(position[0], key.type), sa.literal(position[1], Invitation.id.type)
    )
    return here < there if query.descending != backwards else here > there


def _cursor(
    query: Query, direction: Literal["before", "after"], row: Invitation, key: object
) -> str:
    return write_cursor(query, direction, key, row.id)


def write_cursor(
    query: Query, direction: Literal["before", "after"], key: object, row: UUID
) -> str:
    """The cursor of the page next to `row`, whose value in the sort column is `key`."""
    place = base64_encode(orjson.dumps([direction, key, row]))
    return _signer(*_keys(query)).sign(place).decode()


def read_cursor(query: Query) -> tuple[bool, tuple[Any, UUID] | None]:
    """Whether the cursor leads backwards, and from where; raises `BadInput` if it is forged."""
    if not query.cursor:
        return False, None
    try:
        signed = _signer(*_keys(query)).unsign(query.cursor)
        direction, value, row = orjson.loads(base64_decode(signed))
    except BadData as error:
        raise BadInput("This page link is broken. Start again from the first page.") from error
    return direction == "before", (SORTS[query.sort].parse(value), UUID(row))


def _keys(query: Query) -> tuple[bytes, ...]:
    """Keys per sort column, so that a cursor cannot be used with another column."""
    return keys.derive_all(f"history cursor, {query.sort}")


@lru_cache(maxsize=16)
def _signer(*derived: bytes) -> Signer:
    # Not a serializer, which would build a signer, derive its key and try to compress each time.
    return Signer(list(reversed(derived)), key_derivation="none", algorithm=_Mac())


class _Mac(SigningAlgorithm):
    """HMAC-SHA256; itsdangerous' own sets its key up again for each signature."""

    def get_signature(self, key: bytes, value: bytes) -> bytes:
        """32 bytes."""
        return keys.mac_by(key, value)
