"""The extensions, bare: made here, told about the app in `create_app`."""

from typing import ClassVar

from flask import Flask, request
from flask_limiter import Limiter
from flask_login import LoginManager
from flask_mail import Mail
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy import MetaData
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase

from portal.domain.origin import network_of


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


def requesting_network() -> str:
    """The network a request comes from: whoever holds an IPv6 /64 has 2^64 addresses."""
    return network_of(request.remote_addr or "")


def flood_scope() -> str:
    """What a request counts for: its endpoint, or one scope for all that matches no route."""
    return request.endpoint or "unmatched"


db = Database(
    metadata=Base.metadata, disable_autonaming=True, session_options={"expire_on_commit": False}
)
login_manager = Sessions()
csrf = CSRFProtect()
mail = Mail()

# Floods: counted in memory or Redis, by network; losing them is harmless.
limiter = Limiter(requesting_network, strategy="fixed-window", request_identifier=flood_scope)
# The lockout: the same library's strategy, over counters in the portal's own database. `floods`
# keeps its hooks away; left to itself it would count every request as a flood.
lockout = Limiter(requesting_network, strategy="fixed-window", storage_uri="portal://")
