"""What happens once, before the portal serves, on top of what `config` refuses to start with."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from portal.clock import utcnow
from portal.db import schema
from portal.domain.operations import installation
from portal.extensions import db
from portal.http.logs import log


def migrate(app: Flask) -> None:
    """Bring the tables to the newest revision; ends the process if that fails."""
    with _briefly(app):
        schema.upgrade()


def look_around(app: Flask) -> None:
    """Say it if the database belongs to another secret key."""
    with _briefly(app):
        try:
            if not installation.recognise_key(now=utcnow()):
                log.error("foreign secret key", sentence=installation.FOREIGN_KEY)
        except SQLAlchemyError as error:  # away, or not migrated yet: /readyz and the doctor say so
            log.warning("database not looked at", error=type(error).__name__)


@contextmanager
def _briefly(app: Flask) -> Iterator[None]:
    """The app's context; no connection is left open, for processes forked later to share."""
    with app.app_context():
        try:
            yield
        finally:
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()
