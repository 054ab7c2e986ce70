"""The staging table: rows about to become invitations, not redeemable yet."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from portal.domain.batches.generation import Minted, mint
from portal.extensions import db
from portal.models import BatchRow

NOT_DRAWN = (None,) * len(Minted._fields)


class Draft(NamedTuple):
    """One row to stage, its terms already merged with the batch's. Pass fields by name.

    A row with a `problem` is kept for display and never becomes an invitation.
    """

    number: int
    recipient: str | None = None
    recipient_name: str | None = None
    language: str | None = None
    label: str = ""
    max_uses: int | None = 1
    expires_at: datetime | None = None
    problem: str | None = None
    already_invited: bool = False


COLUMNS = ("batch_id", *Draft._fields, *Minted._fields)


def stage(batch_id: UUID, drafts: Sequence[Draft]) -> None:
    """Store these rows, drawing a code for each good one. Takes part in the transaction."""
    minted = mint(sum(draft.problem is None for draft in drafts))
    _insert(
        (batch_id, *draft, *(next(minted) if draft.problem is None else NOT_DRAWN))
        for draft in drafts
    )


def _insert(rows: Iterable[tuple[Any, ...]]) -> None:
    """Bulk-insert, bypassing SQLAlchemy, whose per-value work takes longer than storing them."""
    connection = db.session.connection()
    names = ", ".join(COLUMNS)
    if connection.dialect.name == "postgresql":
        copying = f"COPY batch_row ({names}) FROM STDIN"
        cursor: Any = connection.connection.cursor()
        with cursor, cursor.copy(copying) as copy:
            for row in rows:
                copy.write_row(row)
        return
    marks = ", ".join("?" * len(COLUMNS))
    statement = f"INSERT INTO batch_row ({names}) VALUES ({marks})"  # noqa: S608 - names of ours
    if bound := list(_bound(rows, connection.dialect)):
        connection.exec_driver_sql(statement, bound)


def _bound(rows: Iterable[tuple[Any, ...]], dialect: sa.Dialect) -> Iterator[tuple[Any, ...]]:
    """The values as bound by the columns' types."""
    table = BatchRow.metadata.tables[BatchRow.__tablename__]
    types = [table.c[name].type.dialect_impl(dialect) for name in COLUMNS]
    ways = [kind.bind_processor(dialect) for kind in types]
    changed = [(place, way) for place, way in enumerate(ways) if way]
    for row in rows:
        values = list(row)
        for place, way in changed:
            values[place] = way(values[place])
        yield tuple(values)
