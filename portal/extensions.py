"""The extensions, bare: made here, told about the app in `create_app`."""

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
    """The base of every table. Constraints are named, so that migrations can name them too."""

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
    """Flask-SQLAlchemy; at the end of a request it breaks off no answer that is ready."""

    def _teardown_session(self, _exc: BaseException | None) -> None:
        if not self.session.registry.has():  # a program's request mostly needs none
            return
        try:
            self.session.remove()
        except OperationalError:  # what only read still stands when the connection has died since
            self.session().invalidate()
            self.session.remove()


class Sessions(LoginManager):
    """Flask-Login, without its cookie that remembers people: our own rows say who is signed in.

    It would open the session of every request, and make every answer vary by its cookie.
    """

    def init_app(self, app: Flask) -> None:
        """Let `current_user` be found. Templates are told of it by `guards`."""
        app.login_manager = self  # type: ignore[attr-defined]


db = Database(
    metadata=Base.metadata, disable_autonaming=True, session_options={"expire_on_commit": False}
)
login_manager = Sessions()
csrf = CSRFProtect()
mail = Mail()
