"""Fixtures with real parts: SQLite files, Postgres databases, and the portal over both."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import text
from sqlalchemy.engine import make_url

from portal import create_app
from portal.config import Settings
from portal.domain.accounts import passwords
from portal.extensions import Base, db
from tests import thrift
from tests.pages import PageClient
from tests.pooler import pgbouncer

POSTGRES = os.environ.get("TEST_POSTGRES_URL", "")
REDIS = os.environ.get("TEST_REDIS_URL", "")
PGBOUNCER = Path("/usr/sbin/pgbouncer").exists()
SECRET = "a secret for the tests that is long enough to be one"


# The machines are noisy, so a test's duration says nothing.
hypothesis.settings.register_profile("portal", deadline=None)
hypothesis.settings.load_profile("portal")

thrift.compile_url_builders_once()


def pytest_configure() -> None:
    """Fail in CI if anything would be skipped."""
    if os.environ.get("CI") and not (POSTGRES and REDIS and PGBOUNCER):
        pytest.exit(
            "CI needs TEST_POSTGRES_URL, TEST_REDIS_URL and Debian's pgbouncer.", returncode=1
        )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that uses a database on each available engine.

    Tests marked `pooler` run on Postgres once more, behind PgBouncer.
    """
    if "engine" in metafunc.fixturenames:
        engines = ["sqlite"]
        if POSTGRES:
            engines.append("postgres")
        if POSTGRES and PGBOUNCER and metafunc.definition.get_closest_marker("pooler"):
            engines.append("pgbouncer")
        metafunc.parametrize("engine", engines, scope="session")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not tested on this machine."""
    for name, url in (("TEST_POSTGRES_URL", POSTGRES), ("TEST_REDIS_URL", REDIS)):
        if not url:
            terminalreporter.write_line(f"{name} is not set: nothing was tested there.")
    if not PGBOUNCER:
        terminalreporter.write_line("PgBouncer is not installed: nothing was tested behind it.")


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cheap Argon2id hashes, since nearly every test makes an account; real servers pay in full."""
    monkeypatch.setattr(passwords, "_hasher", thrift.HASHER)
    monkeypatch.setattr(passwords, "_OF_NOBODY", thrift.HASH_OF_NOBODY)


def make_settings(database_url: str, **changes: object) -> Settings:
    """Settings for a test; `changes` are keyed by their names in `Settings`."""
    values = {
        "secret_key": SECRET,
        "database_url": database_url,
        "public_url": "http://localhost",
        "flood_limit": "100000 per second",
        "log_level": "ERROR",
    }
    return Settings(_env_file=None, **(values | changes))


def migrate(url: str) -> None:
    """Migrate the database at `url`."""
    app = create_app(make_settings(url))
    with app.app_context():
        upgrade()
        db.engine.dispose()


@pytest.fixture(scope="session")
def migrated(
    engine: str, tmp_path_factory: pytest.TempPathFactory, testrun_uid: str, worker_id: str
) -> Iterator[str]:
    """The URL of a database of this test process, migrated once."""
    if engine == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('migrated') / 'portal.db'}"
        migrate(url)
        yield url
        return
    # Named by the run too: parallel runs must not empty each other's tables.
    with database_behind(engine, f"portal_test_{testrun_uid[:12]}_{worker_id}") as url:
        yield url


@contextmanager
def database_behind(engine: str, name: str) -> Iterator[str]:
    """`postgres_database`, or for the engine "pgbouncer" the same behind a pooler."""
    with postgres_database(f"{name}_{engine}") as url:
        if engine == "postgres":
            yield url
            return
        with pgbouncer(make_url(url)) as pooled:
            yield pooled.render_as_string(hide_password=False)


@contextmanager
def postgres_database(name: str) -> Iterator[str]:
    """The URL of a new, migrated database of that name, dropped afterwards."""
    server = make_url(POSTGRES).set(drivername="postgresql")
    with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {name}")
        url = server.set(database=name).render_as_string(hide_password=False)
        migrate(url)
        yield url
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(engine: str, migrated: str, tmp_path: Path) -> str:
    """A database as after its migration: a copy of the file, or every table emptied."""
    if engine == "sqlite":
        return f"sqlite:///{shutil.copy(migrated.removeprefix('sqlite:///'), tmp_path)}"
    # Not TRUNCATE: it creates a new file for each table, and takes a hundred times as long.
    tables = [table.name for table in reversed(db.metadata.sorted_tables)]
    statements = (
        "ALTER TABLE audit_event DISABLE TRIGGER USER",
        *(f'DELETE FROM "{table}"' for table in tables),  # noqa: S608 - our own names
        "ALTER TABLE audit_event ENABLE TRIGGER USER",
        "INSERT INTO installation (id) VALUES (1)",
        "INSERT INTO audit_head (id, number, hash) VALUES (1, 0, '')",
    )
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute("; ".join(statements))
    return migrated


@pytest.fixture
def settings_changes() -> dict[str, object]:
    """Settings to change for a test module: override this fixture there."""
    return {}


@pytest.fixture
def app(database_url: str, settings_changes: dict[str, object]) -> Iterator[Flask]:
    """The portal over an empty database."""
    app = create_app(make_settings(database_url, **settings_changes))
    app.test_client_class = PageClient
    app.jinja_env.bytecode_cache = thrift.TEMPLATES
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def context(app: Flask) -> Iterator[None]:
    """An application context, for tests that call the domain."""
    with app.app_context():
        yield


@pytest.fixture
def client(app: Flask) -> PageClient:
    """A browser without JavaScript, which checks every page it gets."""
    client = app.test_client()
    assert isinstance(client, PageClient)
    return client


def columns_of(row: Base) -> dict[str, Any]:
    """A row's values by column."""
    return {column.key: getattr(row, column.key) for column in sa.inspect(type(row)).columns}


def run_sql(statement: str) -> None:
    """Run SQL, bypassing the portal."""
    db.session.execute(text(statement))
    db.session.commit()
