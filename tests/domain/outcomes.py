"""How a verb ended: what it refused, and what it left in the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from portal.domain.errors import PortalError
from portal.extensions import Base, db

Refusal = TypeVar("Refusal", bound=PortalError)
Row = TypeVar("Row", bound=Base)


@contextmanager
def refused(error: type[Refusal]) -> Iterator[pytest.ExceptionInfo[Refusal]]:
    """Expect exactly this refusal, and undo what was not committed, as the fronts do."""
    with pytest.raises(error) as refusal:
        yield refusal
    assert type(refusal.value) is error
    db.session.rollback()


def stored(row: Row) -> Row:
    """The row as it was committed."""
    db.session.rollback()
    row = row if row in db.session else db.session.merge(row, load=False)
    db.session.refresh(row)
    return row
