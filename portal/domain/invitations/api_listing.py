"""The API listing: an account's own invitations, newest first, without the ORM."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from portal.db import hot
from portal.db.hot import Statement
from portal.db.types import UTCDateTime, plain_id, plain_time, raw_ids, wire_ids, wire_times
from portal.domain.invitations import codes, invitations, issued_counter, listing
from portal.domain.invitations.listing import Query
from portal.extensions import db
from portal.models import Account, Invitation, Role

# One invitation: id, code (masked if its role is above the issuer's current one), when it was
# issued, when it expires (or None), status. All text, times in RFC 3339; a bare tuple, for there
# are many.
Listed = tuple[str, str, str, str | None, str]


class Listing(NamedTuple):
    """Up to `query.size` invitations, the total, and the cursor of the next page."""

    rows: list[Listed]
    total: int
    next: str | None


def page(query: Query, *, by: Account, now: datetime, number: int | None = None) -> Listing:
    """An account's own invitations, newest first: page `number` (from 1), or by cursor.

    Page numbers use OFFSET, because some clients need them. Raises as `listing.find` does.
    """
    criteria = listing.criteria_of(query, now)
    backwards, position = listing.read_cursor(query)
    values = {"owner": by.id, "moment": now, "place": position and position[1]}
    roles = by.grantable_roles
    found: Sequence[Sequence[Any]]
    if criteria or number not in {None, 1}:
        statement = _own(criteria, query.size, backwards, position is not None, roles)
        skipped = ((number or 1) - 1) * query.size
        found = db.session.execute(statement.offset(skipped), values).all()
    else:  # the most common request
        found = hot.rows(_all_own(query.size, backwards, position is not None, roles), values)
    total = _count(criteria, by) if criteria else _issued(by, found)
    shown, _, has_next = listing.page_of(query, list(found), backwards, position)
    rows = _told(shown)
    if number or not has_next:
        return Listing(rows, total, None)
    last = UUID(rows[-1][0])
    return Listing(rows, total, listing.write_cursor(query, "after", last, last))


def listed(invitation: Invitation, *, now: datetime) -> Listed:
    """An invitation in the form of the API listing."""
    end = invitation.expires_at
    return (
        str(invitation.id),
        invitations.code_of(invitation),
        invitation.created_at.isoformat(),
        end.isoformat() if end else None,
        invitation.status(now),
    )


def _told(rows: Sequence[Sequence[Any]]) -> list[Listed]:
    """Converts column by column, to save a call per row."""
    if not rows:
        return []
    ids, sealed, begun, ends, statuses, _ = zip(*rows, strict=True)
    shown = _codes(sealed, raw_ids(ids))
    return list(zip(wire_ids(ids), shown, wire_times(begun), _ends(ends), statuses, strict=True))


def _codes(sealed: Sequence[bytes | None], rows: Iterable[bytes]) -> list[str]:
    """The codes in display form; masked where there is no seal."""
    pairs = [(box, row) for box, row in zip(sealed, rows, strict=True) if box]
    shown = codes.unseal_all(pairs)
    if len(shown) == len(sealed):
        return shown
    opened = iter(shown)
    return [next(opened) if box else codes.MASKED for box in sealed]


def _ends(texts: Sequence[str]) -> Sequence[str | None]:
    """`wire_times`, allowing for invitations that do not expire."""
    if None not in texts:
        return wire_times(texts)
    written = iter(wire_times([text for text in texts if text]))
    return [text and next(written) for text in texts]


def _issued(by: Account, found: Sequence[Sequence[Any]]) -> int:
    """The total without filters, taken from the rows' last column if there are rows."""
    return by.invitations_issued + found[0][-1] if found else issued_counter.issued(by.id)


def _count(criteria: list[sa.ColumnElement[bool]], by: Account) -> int:
    return listing.count([*criteria, Invitation.created_by_id == by.id])


def _own(
    criteria: list[sa.ColumnElement[bool]],
    size: int,
    backwards: bool,
    from_place: bool,
    grantable: tuple[Role, ...],
) -> sa.Select[Any]:
    """One page of an account's own invitations, plus one row that tells if there are more.

    A row holds an id, a sealed code (None unless its role is `grantable`), when it was issued, when
    it expires, its status and, the same in every row, `issued_counter.one_by_one`. Parameters:
    `owner`, `moment`, and `place`, the id to continue from.
    """
    row, owner = Invitation.id, sa.bindparam("owner", type_=Invitation.created_by_id.type)
    place = sa.bindparam("place", type_=row.type)
    beyond = [row > place if backwards else row < place] if from_place else []
    columns: list[sa.ColumnElement[Any]] = [
        plain_id(Invitation.id),
        _sealed(grantable),
        plain_time(Invitation.created_at),
        plain_time(Invitation.expires_at),
        Invitation.status_at(sa.bindparam("moment", type_=UTCDateTime)),
        issued_counter.one_by_one(owner),
    ]
    return (
        sa.select(*columns)
        .where(Invitation.created_by_id == owner, *criteria, *beyond)
        .order_by(row.asc() if backwards else row.desc())
        # Inlined: with a parameter, Postgres would plan for a tenth of the table.
        .limit(sa.literal_column(str(size + 1), sa.Integer))
    )


def _sealed(grantable: tuple[Role, ...]) -> sa.ColumnElement[Any]:
    if grantable == tuple(Role):
        return Invitation.sealed.expression
    return sa.case((Invitation.grants_one_of(grantable), Invitation.sealed))


@cache  # few sizes: at most a hundred
def _all_own(
    size: int, backwards: bool, from_place: bool, grantable: tuple[Role, ...]
) -> Statement:
    return Statement(_own([], size, backwards, from_place, grantable))
