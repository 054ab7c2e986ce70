"""Which tables the database has, by the revisions of its migrations."""

from functools import cache

import sqlalchemy as sa
from alembic.script import ScriptDirectory

from portal.config import ROOT
from portal.extensions import db


@cache
def newest() -> str:
    """The revision this version of the portal works with."""
    return str(_scripts().get_current_head())


@cache
def known() -> frozenset[str]:
    """Every revision this version can start from."""
    return frozenset(script.revision for script in _scripts().walk_revisions())


def is_newest() -> bool:
    """Whether the portal's own database is at the newest revision."""
    in_use = db.session.scalars(sa.text("SELECT version_num FROM alembic_version")).all()
    return set(in_use) == {newest()}


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(ROOT / "migrations"))
