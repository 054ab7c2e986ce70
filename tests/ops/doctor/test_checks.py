"""The doctor: what is wrong is said, beside what to do about it."""

import resource
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from portal import create_app, schema
from portal.clock import utcnow
from portal.domain.mail import outbox
from portal.domain.operations import installation
from portal.extensions import db
from portal.models import Installation
from portal.ops import doctor
from portal.ops.doctor import Finding, Level
from portal.ops.doctor.checks import BACKUP_EVERY, STUCK_AFTER
from tests import factories
from tests.conftest import REDIS, make_settings, run_sql

pytestmark = pytest.mark.usefixtures("context")

ROBUST = {"public_url": "https://invite.example.org", "mail_url": "smtp://127.0.0.1:1"}


def look(part: str) -> Finding:
    """What is found about one part."""
    [found] = [finding for finding in doctor.examine(now=utcnow()) if finding.part == part]
    return found


def levels() -> dict[str, Level]:
    """How each part is."""
    return {finding.part: finding.level for finding in doctor.examine(now=utcnow())}


def write_down(**values: object) -> None:
    """Set what the portal knows about itself."""
    db.session.execute(sa.update(Installation).values(**values))
    db.session.commit()


@pytest.mark.parametrize("settings_changes", [ROBUST | {"web_concurrency": 1}])
def test_of_a_portal_that_is_well_there_is_nothing_to_do(engine: str) -> None:
    write_down(backed_up_at=utcnow(), pruned_at=utcnow())

    assert set(levels().values()) == {Level.GOOD}


def test_whatever_is_not_well_comes_with_advice() -> None:
    for finding in doctor.examine(now=utcnow()):
        assert (finding.level is Level.GOOD) == (finding.advice == "")


# case 84
@pytest.mark.parametrize(("files", "level"), [(256, Level.WARN), (1024, Level.GOOD)])
def test_little_room_for_connections_is_pointed_out(files: int, level: Level) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, limits[1]))
    try:
        assert look("Slow clients").level is level
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("settings_changes", [{"public_url": "http://invite.example.org"}])
def test_an_address_without_https_is_wrong() -> None:
    assert look("Public address").level is Level.BAD


def test_a_start_without_a_public_address_is_pointed_out(tmp_path: Path) -> None:
    with create_app(make_settings("", public_url="")).app_context():
        assert doctor.checks._address().level is Level.WARN


@pytest.mark.parametrize("settings_changes", [{"web_concurrency": 4}])
def test_floods_counted_by_each_process_are_pointed_out() -> None:
    assert look("Shared counters").level is Level.WARN


@pytest.mark.parametrize("settings_changes", [{"redis_url": "redis://127.0.0.1:1/0"}])
def test_a_redis_that_is_away_is_wrong_and_the_lockout_holds() -> None:  # case 76
    found = look("Shared counters")

    assert found.level is Level.BAD
    assert "The lockout holds" in found.sentence


@pytest.mark.skipif(not REDIS, reason="TEST_REDIS_URL is not set")
@pytest.mark.parametrize("settings_changes", [{"redis_url": REDIS}])
def test_a_redis_that_answers_is_well() -> None:
    assert look("Shared counters").level is Level.GOOD


def test_old_tables_are_wrong_and_nothing_further_is_asked_of_them() -> None:
    newest = schema.newest()
    run_sql("UPDATE alembic_version SET version_num = '0003'")
    try:
        found = levels()
    finally:
        run_sql(f"UPDATE alembic_version SET version_num = '{newest}'")  # noqa: S608

    assert found["Tables"] is Level.BAD
    assert "Secret key" not in found


def test_a_database_that_is_away_is_wrong(tmp_path: Path) -> None:
    app = create_app(make_settings(f"sqlite:///{tmp_path / 'nowhere' / 'portal.db'}"))
    with app.app_context():
        assert look("Database").level is Level.BAD


def test_a_foreign_secret_key_is_wrong() -> None:
    write_down(key_check=b"of another key".ljust(32))

    found = look("Secret key")

    assert (found.level, found.sentence) == (Level.BAD, installation.FOREIGN_KEY)


def test_a_very_old_secret_key_is_pointed_out() -> None:
    look("Secret key")
    write_down(key_since=utcnow() - timedelta(days=1000))

    found = look("Secret key")

    assert found.level is Level.WARN
    assert "in use for 1000 days" in found.sentence


def test_the_embedded_database_wants_a_backup_every_week(engine: str) -> None:
    expected = Level.GOOD if engine == "postgres" else Level.WARN
    assert look("Backup").level is expected
    write_down(backed_up_at=utcnow() - BACKUP_EVERY - timedelta(hours=1))
    assert look("Backup").level is expected
    write_down(backed_up_at=utcnow() - timedelta(hours=1))
    assert look("Backup").level is Level.GOOD


@pytest.mark.parametrize("settings_changes", [ROBUST])
def test_mail_that_nobody_sends_is_wrong() -> None:
    invited = factories.invitation(factories.owner())
    moment = utcnow() - 2 * STUCK_AFTER
    mail = outbox.queue("invitation", to="a@example.com", about=invited.id, now=moment)
    db.session.commit()

    assert "no worker runs" in look("Mail").sentence
    outbox.failed(mail, "550 no such mailbox", now=utcnow(), for_good=True)
    assert look("Mail").level is Level.WARN


def test_a_disk_that_is_full_is_wrong(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.ops.doctor.checks.SCARCE", 1 << 60)
    assert look("Disk").level is (Level.GOOD if engine == "postgres" else Level.BAD)


def test_clocks_that_differ_are_wrong(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.ops.doctor.checks.CLOCKS_APART", timedelta(seconds=-1))
    assert look("Clock").level is (Level.BAD if engine == "postgres" else Level.GOOD)
