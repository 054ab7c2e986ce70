"""Look-ups: single SELECTs on the thread's own connection, and objects made of their rows.

What every request of a program asks (does this code open anything, whose is this token) takes the
shorter way of `connections`. A look-up sees what is committed, and nothing that the session has not
committed yet.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.orm.attributes import instance_state

from portal.extensions import Base, db
from portal.statements import Row, Statement

Entity = TypeVar("Entity", bound=Base)


class LookUp:
    """One SELECT with named parameters; its rows are tuples in the order of its columns."""

    def __init__(self, statement: sa.Select[Any]) -> None:
        self.in_transaction = Statement(statement)  # as what is open sees it

    def rows(self, values: Mapping[str, Any]) -> Sequence[Row]:
        """All rows there are for these values, as they are committed."""
        return self.in_transaction.at_once(values)

    def first(self, values: Mapping[str, Any]) -> Row | None:
        """The first of the rows."""
        found = self.rows(values)
        return found[0] if found else None


def entity_of_row(kind: type[Entity], row: Row, columns: tuple[str, ...] = ()) -> Entity:
    """An object of the ORM as its row has it: all columns in their order, or these.

    It belongs to no session. It is there to be asked, and raises `DetachedInstanceError` if it is
    asked for more than the row had; to be changed, it has to be added to a session.
    """
    new, columns, missing, primary_key = _made_of(kind, columns)
    found = cast(Entity, new())
    values, state = found.__dict__, instance_state(found)
    values.update(zip(columns, row, strict=True))
    state.key = kind, tuple([values[name] for name in primary_key]), None
    if missing:
        state.expired_attributes = set(missing)
    return found


def entity(kind: type[Entity], values: Mapping[str, Any]) -> Entity:
    """`entity_of_row`, by the names of the columns."""
    return entity_of_row(kind, [values[name] for name in _made_of(kind, ()).columns])


class _Made(NamedTuple):
    """What makes an instance; the names of its columns, of those it lacks, of those of its key."""

    new: Callable[[], Any]
    columns: tuple[str, ...]
    missing: tuple[str, ...]
    primary_key: tuple[str, ...]


@cache
def _made_of(kind: type[Base], columns: tuple[str, ...]) -> _Made:
    mapper, all_columns = sa.inspect(kind), tuple(kind.__table__.c.keys())
    primary_key = tuple(str(column.key) for column in mapper.primary_key)
    missing = tuple(name for name in all_columns if columns and name not in columns)
    return _Made(mapper.class_manager.new_instance, columns or all_columns, missing, primary_key)


def adopted(found: Entity) -> Entity:
    """What was looked up as one of the session's own objects: a change to it will be written."""
    identity = sa.inspect(found).key
    if identity and identity in db.session.identity_map:
        return db.session.merge(found, load=False)
    db.session.add(found)
    return found
