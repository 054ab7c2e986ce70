"""One's own invitations as programs list them: newest first, without the ORM."""

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

# An invitation as its issuer's programs are told of it: its id, its code (masked if the role it
# gives is above the issuer's own by now), when it was made, when it ends (or None), its status. All
# as text, times by RFC 3339; a bare tuple, for there are many.
Listed = tuple[str, str, str, str | None, str]


class Listing(NamedTuple):
    """Up to `query.size` invitations, how many there are in all, and the cursor behind them."""

    rows: list[Listed]
    total: int
    next: str | None


def page(query: Query, *, by: Account, now: datetime, number: int | None = None) -> Listing:
    """One's own invitations, newest first, for programs: page `number` (from 1), or by cursor.

    Page numbers count rows off, as some clients want it. Raises as `find` does.
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
    else:  # what programs ask for most
        found = hot.rows(_all_own(query.size, backwards, position is not None, roles), values)
    total = _count(criteria, by) if criteria else _issued(by, found)
    shown, _, has_next = listing.page_of(query, list(found), backwards, position)
    rows = _told(shown)
    if number or not has_next:
        return Listing(rows, total, None)
    last = UUID(rows[-1][0])
    return Listing(rows, total, listing.write_cursor(query, "after", last, last))


def listed(invitation: Invitation, *, now: datetime) -> Listed:
    """An invitation as its owner's programs are told of it."""
    end = invitation.expires_at
    return (
        str(invitation.id),
        invitations.code_of(invitation),
        invitation.created_at.isoformat(),
        end.isoformat() if end else None,
        invitation.status(now),
    )


def _told(rows: Sequence[Sequence[Any]]) -> list[Listed]:
    """Column by column: what has to be done fifty times over takes no call for each row."""
    if not rows:
        return []
    ids, sealed, begun, ends, statuses, _ = zip(*rows, strict=True)
    shown = _codes(sealed, raw_ids(ids))
    return list(zip(wire_ids(ids), shown, wire_times(begun), _ends(ends), statuses, strict=True))


def _codes(sealed: Sequence[bytes | None], rows: Iterable[bytes]) -> list[str]:
    """The codes as people read them; masked where no seal was handed out."""
    pairs = [(box, row) for box, row in zip(sealed, rows, strict=True) if box]
    shown = codes.unseal_all(pairs)
    if len(shown) == len(sealed):
        return shown
    opened = iter(shown)
    return [next(opened) if box else codes.MASKED for box in sealed]


def _ends(texts: Sequence[str]) -> Sequence[str | None]:
    """As `wire_times`; some invitations have no end."""
    if None not in texts:
        return wire_times(texts)
    written = iter(wire_times([text for text in texts if text]))
    return [text and next(written) for text in texts]


def _issued(by: Account, found: Sequence[Sequence[Any]]) -> int:
    """How many there are without filters: the last column of each row, where there is one."""
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
    """One's own invitations; with one more than a page holds, which says whether there is another.

    A row is an id, a sealed code (None if it gives a role that is not `grantable`), a beginning and
    an end, a status, and the same in each row: what `totals.one_by_one` says. The parameters:
    `owner`, `moment`, and the `place` to go on from.
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
        # Not a parameter: Postgres would plan for a tenth of the table.
        .limit(sa.literal_column(str(size + 1), sa.Integer))
    )


def _sealed(grantable: tuple[Role, ...]) -> sa.ColumnElement[Any]:
    if grantable == tuple(Role):
        return Invitation.sealed.expression
    return sa.case((Invitation.grants_one_of(grantable), Invitation.sealed))


@cache  # sizes are few: clients may ask for a hundred at most
def _all_own(
    size: int, backwards: bool, from_place: bool, grantable: tuple[Role, ...]
) -> Statement:
    return Statement(_own([], size, backwards, from_place, grantable))
