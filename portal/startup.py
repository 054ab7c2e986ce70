"""What whoever starts the portal must be told, on top of what `config` refuses to start with."""

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from portal.clock import utcnow
from portal.domain import installation
from portal.extensions import db
from portal.logs import log


def look_around(app: Flask) -> None:
    """Say it if the database belongs to another secret key. Leaves no connection open."""
    with app.app_context():
        try:
            if not installation.recognise_key(now=utcnow()):
                log.error("foreign secret key", sentence=installation.FOREIGN_KEY)
        except SQLAlchemyError as error:  # away, or not migrated yet: /readyz and the doctor say so
            log.warning("database not looked at", error=type(error).__name__)
        finally:
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()
