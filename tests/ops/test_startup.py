"""How the portal starts: with what every request needs, and over the tables it works with."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import upgrade

from portal import create_app, schema
from portal.config import ROOT
from portal.extensions import db
from portal.ops import startup
from tests.conftest import SECRET, make_settings
from tests.servers import serve


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Flask]:
    """A portal whose database has no tables yet."""
    app = create_app(make_settings(f"sqlite:///{tmp_path / 'portal.db'}"))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The modules that are there when a server begins to serve."""
    database = tmp_path_factory.mktemp("loaded") / "portal.db"
    environment = {"DATABASE_URL": f"sqlite:///{database}", "PUBLIC_URL": "http://localhost"}
    server = subprocess.run(
        [sys.executable, "-c", "import sys, wsgi; print(*sys.modules)"],
        cwd=ROOT,
        env=environment | {"SECRET_KEY": SECRET},
        capture_output=True,
        check=True,
        text=True,
    )
    return set(server.stdout.split())


@pytest.mark.parametrize(
    "seldom",
    [
        *("alembic", "flask_migrate", "phonenumbers", "redis", "webauthn", "zxcvbn"),
        "portal.api.openapi.document",
    ],
)
def test_what_few_requests_need_is_not_loaded_at_the_start(loaded: set[str], seldom: str) -> None:
    assert seldom not in loaded


@pytest.mark.parametrize(
    "often", ["argon2", "jwt", "portal.domain.invitations.redemptions", "sqlalchemy.orm"]
)
def test_what_requests_need_is_loaded_before_processes_part(loaded: set[str], often: str) -> None:
    assert often in loaded


def test_the_revisions_are_those_that_alembic_knows() -> None:
    scripts = ScriptDirectory(str(schema.MIGRATIONS))

    assert schema.newest() == scripts.get_current_head()
    assert schema.known() == {script.revision for script in scripts.walk_revisions()}


def test_the_start_migrates_an_empty_database(empty: Flask) -> None:
    startup.migrate(empty)

    assert schema.is_newest()


def test_the_start_migrates_older_tables(empty: Flask) -> None:
    upgrade(revision="0001")

    startup.migrate(empty)

    assert schema.is_newest()


def test_the_start_leaves_the_newest_tables_alone(
    empty: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    startup.migrate(empty)
    monkeypatch.delitem(empty.extensions, "migrate")  # Flask-Migrate would fail now

    startup.migrate(empty)

    assert schema.is_newest()


@pytest.mark.gunicorn
@pytest.mark.parametrize(("migrating", "is_ready"), [({"MIGRATE_FIRST": "1"}, True), ({}, False)])
def test_a_server_migrates_where_that_is_asked_for(
    tmp_path: Path, migrating: dict[str, str], is_ready: bool
) -> None:
    with serve(f"sqlite:///{tmp_path / 'portal.db'}", **migrating) as url:
        answer = httpx.get(f"{url}/readyz", trust_env=False)

    assert answer.is_success is is_ready
