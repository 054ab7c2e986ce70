"""Session helpers: callbacks after the commit, and rolling back."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from portal.extensions import db

ON_COMMIT = "portal.on_commit"


def on_commit(call: Callable[[], object]) -> None:
    """Call this after the session's next commit, and never after a rollback."""
    db.session.info.setdefault(ON_COMMIT, []).append(call)


def abandon() -> None:
    """Roll back, even if the database connection has been lost."""
    try:
        db.session.rollback()
    except OperationalError:
        db.session().invalidate()


@sa.event.listens_for(db.session, "after_commit")
def _call(session: Any) -> None:
    if session.in_nested_transaction():  # a savepoint: the outer transaction may still roll back
        return
    for call in session.info.pop(ON_COMMIT, []):
        call()


@sa.event.listens_for(db.session, "after_rollback")
def _forget(session: Any) -> None:
    session.info.pop(ON_COMMIT, None)
