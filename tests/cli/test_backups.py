"""`flask backup` and `flask restore`: one file, sound, and worth having on another machine."""

import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest
from click.testing import Result
from flask import Flask

from portal import create_app
from portal.clock import utcnow
from portal.domain.accounts import accounts
from portal.domain.audit import audit, chain
from portal.domain.errors import CodeRefused
from portal.domain.operations import installation
from portal.extensions import db
from portal.ops import backups
from tests import factories
from tests.conftest import make_settings, migrate
from tests.factories import code_of, device

OTHER_SECRET = "another secret of another machine that is long enough"
Machine = Callable[..., Flask]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Sets up a portal on SQLite in a folder of its own; without tables unless they are wanted."""
    apps: list[Flask] = []

    def machine(name: str, *, tables: bool = True, **changes: object) -> Flask:
        (tmp_path / name).mkdir(exist_ok=True)
        url = f"sqlite:///{tmp_path / name / 'portal.db'}"
        if tables:
            migrate(url)
        apps.append(create_app(make_settings(url, **changes)))
        return apps[-1]

    yield machine
    for app in apps:
        close(app)


@pytest.fixture
def here(machine: Machine) -> Flask:
    """The machine the backup is taken on."""
    return machine("here")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the backup goes."""
    return tmp_path / "backup.db"


def run(app: Flask, *arguments: object) -> Result:
    """Run a command."""
    return app.test_cli_runner().invoke(args=[str(argument) for argument in arguments])


def close(app: Flask) -> None:
    """Stop it, as far as the database can tell."""
    with app.app_context():
        db.engine.dispose()


def issue_code(app: Flask) -> str:
    """A code of that portal."""
    with app.app_context():
        return code_of(factories.invitation(factories.owner(utcnow()), utcnow()))


def lets_in(app: Flask, code: str) -> bool:
    """Whether a device gets in with it."""
    with app.app_context():
        try:
            factories.redeem(code, origin=device(), now=utcnow())
        except CodeRefused:
            return False
        return True


def test_a_backup_restored_on_another_machine_lets_the_same_codes_in(
    here: Flask, machine: Machine, file: Path
) -> None:
    code = issue_code(here)
    assert run(here, "backup", file).exit_code == 0

    there = machine("there", tables=False)
    result = run(there, "restore", file)

    assert (result.exit_code, result.output) == (0, f"Restored from {file}.\n")
    assert lets_in(there, code)
    with there.app_context():
        assert chain.first_broken_link() is None
        assert "portal.restored" in {event.action for event in audit.latest(3)}


def test_with_another_secret_key_the_restoration_says_so(
    here: Flask, machine: Machine, file: Path
) -> None:
    code = issue_code(here)
    run(here, "backup", file)

    there = machine("there", tables=False, secret_key=OTHER_SECRET)
    result = run(there, "restore", file)

    assert result.exit_code == 1
    assert installation.FOREIGN_KEY in result.output
    assert not lets_in(there, code)


def test_with_the_old_key_as_a_fallback_the_same_codes_are_let_in(
    here: Flask, machine: Machine, file: Path
) -> None:
    code = issue_code(here)
    run(here, "backup", file)

    keys = {"secret_key": OTHER_SECRET, "secret_key_fallbacks": (here.config["SECRET_KEY"],)}
    there = machine("there", tables=False, **keys)

    assert run(there, "restore", file).exit_code == 0
    assert lets_in(there, code)


def test_a_backup_is_for_its_owner_only_and_a_single_file(here: Flask, file: Path) -> None:
    run(here, "backup", file)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.glob("*backup*")] == ["backup.db"]


def test_the_portal_remembers_when_it_was_backed_up(here: Flask, file: Path) -> None:
    run(here, "backup", file)

    with here.app_context():
        assert installation.get().backed_up_at is not None
        assert audit.latest(1)[0].action == "portal.backed_up"


def test_a_backup_while_others_write_is_of_one_moment(here: Flask, file: Path) -> None:
    stop = Event()
    with here.app_context():
        factories.invitation(factories.owner(utcnow(), "olivia"), utcnow())

    def write() -> None:
        with here.app_context():
            owner = accounts.find("olivia")
            assert owner is not None
            while not stop.is_set():
                factories.invitation(owner, utcnow())

    writer = Thread(target=write)
    writer.start()
    try:
        results = [run(here, "backup", "--force", file) for _ in range(5)]
    finally:
        stop.set()
        writer.join()

    assert {result.exit_code for result in results} == {0}
    with closing(sqlite3.connect(file)) as copy:
        [(issued,)] = copy.execute("SELECT sum(issued) FROM issued_count")
        [(stored,)] = copy.execute("SELECT count(*) FROM invitation")
        [(events,)] = copy.execute("SELECT count(*) FROM audit_unlinked WHERE action LIKE 'inv%'")
    assert issued == stored == events


def test_what_is_there_is_overwritten_only_by_force(
    here: Flask, machine: Machine, file: Path
) -> None:
    file.write_text("last week's")
    assert "exists already" in run(here, "backup", file).output
    assert file.read_text() == "last week's"
    assert run(here, "backup", "--force", file).exit_code == 0

    there = machine("there")
    close(there)
    assert "There is a database at" in run(there, "restore", file).output
    assert run(there, "restore", "--force", file).exit_code == 0


def test_a_database_that_is_replaced_is_kept(here: Flask, machine: Machine, file: Path) -> None:
    run(here, "backup", file)
    there = machine("there")
    code = issue_code(there)
    close(there)

    output = run(there, "restore", "--force", file).output

    kept = Path(output.rsplit("kept as ", 1)[1].strip().removesuffix("."))
    close(there)
    assert not lets_in(there, code)
    close(there)
    assert run(there, "restore", "--force", kept).exit_code == 0
    assert lets_in(there, code)


def test_a_database_in_use_is_not_replaced(here: Flask, machine: Machine, file: Path) -> None:
    run(here, "backup", file)
    there = machine("there")
    path = Path(there.config["SQLALCHEMY_DATABASE_URI"].removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as running:
        running.execute("SELECT count(*) FROM invitation").fetchone()
        result = run(there, "restore", "--force", file)

    assert result.exit_code == 1
    assert "is in use. Stop the portal and its worker first." in result.output


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", "of another version of the portal"),
        ("DROP TABLE alembic_version", "is not a database of this portal"),
        ("UPDATE invitation SET created_by_id = 'x'", "have lost their parent"),
    ],
)
def test_a_file_that_is_no_sound_backup_is_refused(
    here: Flask, machine: Machine, file: Path, damage: str, sentence: str
) -> None:
    issue_code(here)
    run(here, "backup", file)
    with closing(sqlite3.connect(file, isolation_level=None)) as copy:
        copy.execute(damage)
    there = machine("there", tables=False)

    result = run(there, "restore", file)

    assert result.exit_code == 1
    assert sentence in result.output
    assert list((file.parent / "there").iterdir()) == []


def test_a_torn_file_is_refused(here: Flask, machine: Machine, file: Path) -> None:
    issue_code(here)
    run(here, "backup", file)
    whole = file.read_bytes()
    file.write_bytes(whole[:8192] + bytes(8192) + whole[16384:])

    result = run(machine("there", tables=False), "restore", file)

    assert result.exit_code == 1
    assert list((file.parent / "there").iterdir()) == []


def test_a_backup_of_earlier_tables_says_that_they_are_to_be_migrated(
    here: Flask, machine: Machine, file: Path
) -> None:
    run(here, "backup", file)
    with closing(sqlite3.connect(file, isolation_level=None)) as copy:
        copy.execute("UPDATE alembic_version SET version_num = '0003'")

    result = run(machine("there", tables=False), "restore", file)

    assert result.exit_code == 0
    assert "flask --app wsgi db upgrade" in result.output


def test_a_copy_that_fails_leaves_nothing_behind(file: Path) -> None:
    with pytest.raises(backups.BackupRefused):
        backups.write(file.parent / "nothing.db", file)

    assert list(file.parent.iterdir()) == []


def test_postgres_is_backed_up_by_its_own_tools(engine: str, app: Flask, file: Path) -> None:
    if engine == "postgres":
        assert "use pg_dump and pg_restore" in run(app, "backup", file).output
    else:
        assert run(app, "backup", file).exit_code == 0
