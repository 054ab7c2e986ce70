"""What the portal forgets, and what it does not."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from portal.clock import utcnow
from portal.domain.accounts import registration, sessions
from portal.domain.audit import audit, chain, retention
from portal.domain.batches.staging import Draft, stage
from portal.domain.errors import CodeRefused
from portal.domain.imports import preview
from portal.domain.invitations import redemptions
from portal.domain.tokens import signing
from portal.extensions import Base, db
from portal.models import (
    Account,
    AttemptCounter,
    AuditEvent,
    Batch,
    BatchRow,
    BatchState,
    BatchUpload,
    Purpose,
    Redemption,
    RefreshToken,
    Session,
    SigningKey,
    Verification,
)
from tests import factories
from tests.factories import NOW, code_of, device

pytestmark = pytest.mark.usefixtures("context")

KEPT = retention.ADDRESSES_FOR
LONG_AGO = NOW - KEPT - timedelta(hours=1)
RECENTLY = NOW - KEPT + timedelta(hours=1)


@pytest.fixture
def olivia(context: None) -> Account:
    """The owner, since long ago."""
    return factories.owner(LONG_AGO)


def let_in(by: Account, moment: datetime) -> None:
    """Somebody is let in at that moment, and a session opened."""
    invited = factories.invitation(by, moment)
    redemptions.admit(code_of(invited), origin=device(), now=moment)


def imported(by: Account, moment: datetime, state: BatchState) -> None:
    """An import of one row that was sent at that moment, and has come so far."""
    batch = Batch(name="Guests", created_by_id=by.id, created_at=moment, state=state)
    db.session.add(batch)
    db.session.flush()
    stage(batch.id, [Draft(1, recipient="ana@example.org")])
    db.session.add(BatchUpload(batch_id=batch.id, number=0, content=b"ana@example.org"))
    db.session.commit()


def count(table: type[Base], *which: sa.ColumnElement[bool]) -> int:
    """How many rows there are."""
    db.session.rollback()
    return db.session.scalar(sa.select(sa.func.count()).select_from(table).where(*which)) or 0


def test_addresses_and_programs_are_forgotten_after_ninety_days(olivia: Account) -> None:
    let_in(olivia, LONG_AGO)
    let_in(olivia, RECENTLY)

    retention.prune(now=NOW)

    assert count(Redemption) == 2
    assert count(Redemption, Redemption.address.is_not(None)) == 1
    assert count(Redemption, Redemption.client.is_not(None)) == 1
    assert count(AuditEvent, AuditEvent.at == LONG_AGO, AuditEvent.address.is_not(None)) == 0
    assert count(AuditEvent, AuditEvent.at == RECENTLY, AuditEvent.address.is_not(None)) == 2


def test_the_audit_log_is_whole_when_addresses_are_forgotten(olivia: Account) -> None:  # case 80
    let_in(olivia, LONG_AGO)

    retention.prune(now=NOW)

    db.session.expire_all()
    assert chain.first_broken_link() is None


def test_sessions_are_kept_ninety_days_after_their_end_for_the_devices_they_name(
    olivia: Account,
) -> None:
    phone, laptop = device("phone"), device("laptop")
    sessions.open_for_account(olivia, origin=phone, now=LONG_AGO - timedelta(days=1))
    sessions.open_for_account(olivia, origin=laptop, now=RECENTLY)
    db.session.commit()

    retention.prune(now=NOW)

    assert count(Session) == 1
    assert sessions.knows_device(olivia.id, laptop)


def test_refresh_tokens_go_when_they_expire(olivia: Account) -> None:
    session, _ = sessions.open_for_account(olivia, origin=device(), now=NOW)
    for number, expires_at in enumerate((NOW - timedelta(seconds=1), NOW + timedelta(seconds=1))):
        token = RefreshToken(
            session=session, digest=bytes([number]) * 32, created_at=NOW, expires_at=expires_at
        )
        db.session.add(token)
    db.session.commit()

    assert retention.prune(now=NOW)["refresh_tokens"] == 1
    assert count(RefreshToken) == 1


def test_whoever_never_confirmed_an_email_holds_no_name_longer_than_thirty_days(
    olivia: Account,
) -> None:
    factories.newcomer("mia", NOW - retention.UNCONFIRMED_FOR - timedelta(seconds=1))
    factories.newcomer("max", NOW - retention.UNCONFIRMED_FOR)
    factories.member("ana", LONG_AGO)

    assert retention.prune(now=NOW)["unconfirmed_accounts"] == 1

    left = db.session.scalars(sa.select(Account.username).order_by(Account.username))
    assert list(left) == ["ana", "max", "olivia"]
    assert factories.newcomer("mia")


def test_whoever_has_a_fresh_link_to_confirm_by_is_spared(olivia: Account) -> None:
    mia = factories.newcomer("mia", LONG_AGO)
    registration.resend("mia", origin=device(), now=NOW - timedelta(hours=23))

    assert retention.prune(now=NOW)["unconfirmed_accounts"] == 0

    _, token = factories.sent_to(mia.email)
    assert registration.activate_by_link(token, origin=device(), now=NOW) == mia


def test_the_ledger_keeps_what_an_unconfirmed_account_used(olivia: Account) -> None:
    invited = factories.invitation(olivia, LONG_AGO, expires_at=None, max_uses=1)
    phone = device("phone")
    factories.newcomer("mia", LONG_AGO, invitation_code=code_of(invited), origin=phone)

    retention.prune(now=NOW)

    assert count(Account, Account.username == "mia") == 0
    assert count(Verification) == 0
    [kept] = db.session.scalars(sa.select(Redemption))
    assert (kept.invitation_id, kept.account_id, kept.email) == (invited.id, None, None)
    assert factories.newcomer("mia", NOW, invitation_code=code_of(invited), origin=phone)


def test_signing_keys_go_when_nothing_they_signed_is_good_any_more() -> None:
    signing.rotate("RS256", now=LONG_AGO)
    signing.rotate("RS256", now=RECENTLY)
    signing.rotate("RS256", now=NOW - timedelta(seconds=1))

    assert retention.prune(now=NOW)["signing_keys"] == 1

    assert count(SigningKey) == 2
    assert len(signing.public_keys(now=NOW)["keys"]) == 2


def test_verifications_outlive_the_day_in_which_their_misses_count(olivia: Account) -> None:
    for ago in (timedelta(hours=30), timedelta(hours=49)):
        expired = Verification(
            account=olivia, purpose=Purpose.RESET, created_at=NOW - ago, expires_at=NOW - ago
        )
        db.session.add(expired)
    db.session.commit()

    retention.prune(now=NOW)

    assert count(Verification) == 1


def test_counters_go_when_their_window_is_over_and_locks_hold(olivia: Account) -> None:
    locked = device("locked")
    for moment, origin in ((NOW - timedelta(days=1), device()), (NOW, locked)):
        with pytest.raises(CodeRefused):
            factories.redeem("nonsense", origin=origin, now=moment)

    retention.prune(now=NOW)

    assert count(AttemptCounter, AttemptCounter.expires_at < NOW.timestamp()) == 0
    assert count(AttemptCounter) > 0


@pytest.mark.parametrize("state", preview.UNCONFIRMED)
def test_imports_that_nobody_confirms_go_after_a_day(olivia: Account, state: BatchState) -> None:
    for ago in (timedelta(hours=23), timedelta(hours=25)):
        imported(olivia, NOW - ago, state)

    assert retention.prune(now=NOW)["imports"] == 1
    assert (count(Batch), count(BatchRow), count(BatchUpload)) == (1, 1, 1)


@pytest.mark.parametrize("state", [BatchState.ISSUING, BatchState.ISSUED])
def test_a_confirmed_import_is_never_forgotten(olivia: Account, state: BatchState) -> None:
    imported(olivia, LONG_AGO, state)

    assert retention.prune(now=NOW)["imports"] == 0
    assert count(BatchRow) == 1


def test_it_is_written_down_once_and_only_if_something_was_forgotten(olivia: Account) -> None:
    let_in(olivia, LONG_AGO)
    retention.prune(now=NOW)
    retention.prune(now=NOW)

    pruned = [event for event in audit.latest(20) if event.action == "retention.pruned"]
    assert [event.details for event in pruned] == [
        {"counters": 1, "event_addresses": 3, "redemption_addresses": 1, "session_addresses": 1}
    ]


def test_more_than_one_chunk_is_forgotten(olivia: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 2)
    for _ in range(5):
        let_in(olivia, LONG_AGO)

    assert retention.prune(now=NOW)["redemption_addresses"] == 5


def test_the_worker_prunes_once_a_day(olivia: Account) -> None:
    almost_a_day = timedelta(hours=23)

    assert retention.prune_daily(now=NOW)
    assert not retention.prune_daily(now=NOW + almost_a_day)
    assert retention.prune_daily(now=NOW + retention.EVERY)


def test_the_command_says_what_was_forgotten(app: Flask) -> None:
    long_ago = utcnow() - KEPT - timedelta(hours=1)
    let_in(factories.owner(long_ago), long_ago)

    result = app.test_cli_runner().invoke(args=["prune"])

    assert result.exit_code == 0
    assert "redemption addresses: 1\n" in result.output
