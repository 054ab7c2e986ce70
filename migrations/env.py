"""Runs the migrations over the portal's own engine, on SQLite and on Postgres."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from flask import current_app

from portal import models  # noqa: F401 - the tables have to be known
from portal.db.types import UTCDateTime
from portal.extensions import db


def plain_types(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """Write column types as SQLAlchemy's own: a migration must not change with the models."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, sa.Enum):
        return f"sa.String(length={item.length})"
    return False


def run() -> None:
    """Migrate within one transaction."""
    arguments = current_app.extensions["migrate"].configure_args
    with db.engine.connect() as connection:
        context.configure(
            connection=connection, target_metadata=db.metadata, render_item=plain_types, **arguments
        )
        with context.begin_transaction():
            context.run_migrations()


run()
