"""Tasks before the portal serves, besides the checks of `config`."""

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
    """Migrate the tables to the newest revision; exits the process on failure."""
    with _briefly(app):
        schema.upgrade()


def look_around(app: Flask) -> None:
    """Log an error if the database belongs to another secret key."""
    with _briefly(app):
        try:
            if not installation.recognise_key(now=utcnow()):
                log.error("foreign secret key", sentence=installation.FOREIGN_KEY)
        except SQLAlchemyError as error:  # down or not migrated: see /readyz and the doctor
            log.warning("database not looked at", error=type(error).__name__)


@contextmanager
def _briefly(app: Flask) -> Iterator[None]:
    """The app's context, leaving no open connection for forked processes to share."""
    with app.app_context():
        try:
            yield
        finally:
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()
