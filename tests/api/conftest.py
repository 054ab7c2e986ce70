"""The portal as programs meet it: one gunicorn an engine, with the contract's two settings.

Tests share its database: each makes people and devices of its own, and looks at nothing else.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from flask import Flask

from portal import create_app
from portal.extensions import db
from tests.api.post import Post, post_of
from tests.api.programs import Person, Program, admin
from tests.conftest import database_behind, make_settings, migrate
from tests.servers import serve

# What lets the documents' own examples run as they stand.
CONTRACT = {"ADMIN_REGISTRATION": "open", "PASSWORD_MIN_LENGTH": "7"}
# The tests speak as a proxy does, so that each program can be at an address of its own.
BEHIND_A_PROXY = {"TRUSTED_PROXIES": "1"}


@pytest.fixture(scope="session")
def shared_database(
    engine: str, tmp_path_factory: pytest.TempPathFactory, testrun_uid: str, worker_id: str
) -> Iterator[str]:
    """A database that the tests of the API share, and nobody empties: a portal runs on it."""
    if engine != "sqlite":
        with database_behind(engine, f"portal_api_{testrun_uid[:12]}_{worker_id}") as url:
            yield url
        return
    url = f"sqlite:///{tmp_path_factory.mktemp('api') / 'portal.db'}"
    migrate(url)
    yield url


@pytest.fixture(scope="session")
def service(shared_database: str) -> Iterator[str]:
    """The address of a running portal."""
    with ExitStack() as stack:
        yield stack.enter_context(serve(shared_database, **CONTRACT, **BEHIND_A_PROXY))


@pytest.fixture(scope="session")
def post(service: str, shared_database: str) -> Iterator[Post]:
    """What the running portal mails."""
    with post_of(service, shared_database) as post:
        yield post


@pytest.fixture
def behind(shared_database: str) -> Iterator[Flask]:
    """The portal over the same database, in this process and in an application context."""
    app = create_app(make_settings(shared_database))
    with app.app_context():
        yield app
        db.session.rollback()
        db.engine.dispose()


@pytest.fixture
def program(service: str) -> Program:
    """A program that is not signed in."""
    return Program(service)


@pytest.fixture
def signed_in(service: str) -> tuple[Program, Person]:
    """A program that is signed in, and for whom."""
    return admin(service)


@pytest.fixture
def alice(signed_in: tuple[Program, Person]) -> Program:
    """A program signed in for an admin."""
    return signed_in[0]
