"""The Flask extensions, created here and bound to the app in `create_app`."""

from typing import ClassVar

from flask import Flask
from flask_login import LoginManager
from flask_mail import Mail
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy import MetaData
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """The base of all tables. Constraints are named, so that migrations can refer to them."""

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Database(SQLAlchemy):
    """Flask-SQLAlchemy, with a teardown that cannot fail a finished response."""

    def _teardown_session(self, _exc: BaseException | None) -> None:
        if not self.session.registry.has():  # most API requests use no session
            return
        try:
            self.session.remove()
        except OperationalError:  # the connection has died since, which no finished read minds
            self.session().invalidate()
            self.session.remove()


class Sessions(LoginManager):
    """Flask-Login without its remember cookie: our own rows say who is signed in.

    Its hook would open the session on every request, and add `Vary: Cookie` to every response.
    """

    def init_app(self, app: Flask) -> None:
        """Register with the app, for `current_user`; `guards` passes it to templates."""
        app.login_manager = self  # type: ignore[attr-defined]


db = Database(
    metadata=Base.metadata, disable_autonaming=True, session_options={"expire_on_commit": False}
)
login_manager = Sessions()
csrf = CSRFProtect()
mail = Mail()
