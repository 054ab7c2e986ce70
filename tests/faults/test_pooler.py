"""Behind PgBouncer in transaction mode: what is set up differently there, and what is the same.

The tests marked `pooler` elsewhere run there too: the contract, the races, the worker.
"""

import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from portal import create_app
from portal.config import ROOT
from portal.db import hot, schema
from portal.db.engine import is_direct
from portal.db.hot import Statement
from portal.extensions import db
from portal.models import AttemptCounter
from tests.conftest import PGBOUNCER, POSTGRES, SECRET, make_settings
from tests.pooler import pgbouncer

pytestmark = pytest.mark.skipif(
    not (POSTGRES and PGBOUNCER), reason="needs TEST_POSTGRES_URL and PgBouncer"
)

COUNT = Statement(sa.select(sa.func.count()).select_from(AttemptCounter))
TIMES = 50  # more than psycopg waits for before it prepares a statement
PREPARED = "SELECT count(*) FROM pg_prepared_statements"


@pytest.fixture
def pooled(testrun_uid: str, worker_id: str) -> Iterator[str]:
    """The URL of an empty database, through a pooler."""
    server = make_url(POSTGRES).set(drivername="postgresql")
    name = f"portal_pooled_{testrun_uid[:12]}_{worker_id}"
    with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        with pgbouncer(server.set(database=name)) as url:
            yield url.render_as_string(hide_password=False)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def flask(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`flask` with these words, over the database at `url`."""
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", *words],
        cwd=ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "DATABASE_URL": url,
            "SECRET_KEY": SECRET,
            "PUBLIC_URL": "http://localhost",
            "LOG_LEVEL": "ERROR",
        },
        capture_output=True,
        text=True,
        check=False,
    )


# case 99
def test_a_database_is_migrated_and_examined_through_a_pooler(pooled: str) -> None:
    migrated = flask(pooled, "db", "upgrade")
    assert migrated.returncode == 0, migrated.stderr

    examined = flask(pooled, "doctor")

    assert "A pooler stands between the portal and Postgres" in examined.stdout
    assert "Traceback" not in examined.stderr


# case 99
@pytest.mark.parametrize("behind", [True, False], ids=["pooler", "direct"])
def test_statements_are_prepared_only_where_the_connection_is_direct(
    pooled: str, behind: bool
) -> None:
    name = make_url(pooled).database
    url = pooled if behind else make_url(POSTGRES).set(database=name).render_as_string(False)
    assert flask(pooled, "db", "upgrade").returncode == 0
    app = create_app(make_settings(url.replace("+psycopg", "")))
    with app.app_context():
        assert schema.is_newest()
        db.session.commit()
        for _ in range(TIMES):
            hot.rows(COUNT, {})
            db.session.scalar(COUNT.parts[0])
            db.session.commit()
        prepared = db.session.scalar(sa.text(PREPARED))
        driver = db.session.connection().connection.dbapi_connection
        db.session.rollback()
        assert is_direct(driver) is not behind
        db.session.remove()
        db.engine.dispose()

    assert bool(prepared) is not behind
