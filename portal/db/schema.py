"""The schema revision of the database, by its migrations."""

from functools import cache

import sqlalchemy as sa
from flask import Flask
from werkzeug.local import LocalProxy

from portal.config import ROOT
from portal.extensions import db

MIGRATIONS = ROOT / "migrations"


def init_app(app: Flask) -> None:
    """Register Flask-Migrate on first use: it imports Alembic, which is slow to load."""
    app.extensions["migrate"] = LocalProxy(lambda: _introduced(app))


def upgrade() -> None:
    """Migrate the portal's database to the newest revision; exits the process on failure."""
    is_done = is_newest()
    db.session.remove()
    if is_done:
        return

    import flask_migrate  # noqa: PLC0415 - slow to load

    flask_migrate.upgrade()


def newest() -> str:
    """The revision this version of the portal works with."""
    return max(known())


@cache
def known() -> frozenset[str]:
    """All revisions this version can migrate from, by the numbers of the migration files."""
    files = (MIGRATIONS / "versions").glob("[0-9]*.py")
    return frozenset(file.name.partition("_")[0] for file in files)


def is_newest() -> bool:
    """Whether the portal's database is at the newest revision."""
    return _in_use() == {newest()}


def is_behind() -> bool:
    """Whether the portal's database still has to be migrated for this version."""
    in_use = _in_use()
    return in_use <= known() and in_use != {newest()}


def _in_use() -> set[str]:
    if not sa.inspect(db.session.connection()).has_table("alembic_version"):
        return set()
    return set(db.session.scalars(sa.text("SELECT version_num FROM alembic_version")))


def _introduced(app: Flask) -> object:
    from flask_migrate import Migrate  # noqa: PLC0415 - slow to load

    Migrate(app, db, directory=str(MIGRATIONS), render_as_batch=True)
    return app.extensions["migrate"]
