"""The audit log: nobody changes it, and whoever does is found out."""

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from portal.domain.audit import audit, chain
from portal.domain.client import Origin
from portal.extensions import db
from portal.models import AuditEvent, AuditHead, UnlinkedEvent
from portal.ops import worker
from tests import factories
from tests.conftest import columns_of, run_sql
from tests.domain.outcomes import stored
from tests.factories import NOW

pytestmark = pytest.mark.usefixtures("context")

PHONE = Origin(device="phone", address="192.0.2.1")
TRIGGERS = {
    "sqlite": ["audit_event_kept", "audit_event_unchanged"],
    "postgresql": ["audit_event_kept ON audit_event"],
}


@pytest.fixture
def five_events(context: None) -> None:
    """A chain of five."""
    for number in range(1, 6):
        audit.record(
            "tea.poured",
            now=NOW + timedelta(minutes=number, microseconds=number),
            origin=PHONE,
            actor=uuid4(),
            subject=uuid4(),
            cup=number,
            sort="Assam ☕",
        )
    chain.catch_up()


def tamper(*statements: str) -> None:
    """Change the log as somebody would who owns the database."""
    for trigger in TRIGGERS[db.engine.dialect.name]:
        run_sql(f"DROP TRIGGER {trigger}")
    for statement in statements:
        run_sql(statement)
    db.session.expunge_all()


@pytest.fixture(autouse=True)
def triggers_for_the_next_test(context: None) -> Iterator[None]:
    """A Postgres database is emptied for the next test, not made anew."""
    yield
    db.session.rollback()
    if db.engine.dialect.name == "postgresql":
        run_sql("DROP TRIGGER IF EXISTS audit_event_kept ON audit_event")
        run_sql(
            "CREATE TRIGGER audit_event_kept BEFORE DELETE OR UPDATE OF id, number, at, action, "
            "actor_id, subject_id, device, address_digest, details, hash "
            "ON audit_event FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()"
        )


def test_an_event_keeps_what_it_was_told() -> None:
    actor, subject = uuid4(), uuid4()

    audit.record("tea.poured", now=NOW, origin=PHONE, actor=actor, subject=subject, cup=1)
    db.session.commit()

    [event] = audit.about(subject)
    assert (event.number, event.at, event.action) == (1, NOW, "tea.poured")
    assert (event.actor_id, event.details) == (actor, {"cup": 1})
    assert (event.device, event.address) == (PHONE.device_digest, PHONE.address)


def test_an_event_of_nobody_names_neither_device_nor_address() -> None:
    audit.record("tea.cooled", now=NOW)
    db.session.commit()

    [event] = audit.latest(1)
    assert (event.actor_id, event.subject_id, event.device, event.address) == (None,) * 4
    assert chain.first_broken_link() is None


def test_an_event_of_a_verb_that_is_undone_never_was() -> None:
    audit.record("tea.poured", now=NOW)
    db.session.rollback()
    audit.record("tea.poured", now=NOW)
    db.session.commit()

    assert [event.number for event in audit.latest(10)] == [1]
    assert chain.first_broken_link() is None


def test_an_empty_log_is_whole() -> None:
    assert chain.first_broken_link() is None


def test_a_chain_that_nobody_touched_is_whole(five_events: None) -> None:
    db.session.expunge_all()

    assert chain.first_broken_link() is None


def test_what_the_portal_itself_writes_is_whole() -> None:
    factories.invitation(factories.owner())
    db.session.expunge_all()

    assert len(audit.latest(10)) == 2
    assert chain.first_broken_link() is None


def test_a_moment_of_any_zone_keeps_the_chain_whole() -> None:
    audit.record("tea.poured", now=NOW.astimezone(ZoneInfo("Asia/Jakarta")))
    db.session.commit()
    db.session.expunge_all()

    assert chain.first_broken_link() is None


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_event SET action = 'tea.spilt' WHERE number = 3",
        "UPDATE audit_event SET at = '2020-01-01 00:00:00.000000' WHERE number = 3",
        "UPDATE audit_event SET actor_id = NULL WHERE number = 3",
        "UPDATE audit_event SET subject_id = NULL WHERE number = 3",
        "UPDATE audit_event SET device = 'another' WHERE number = 3",
        "UPDATE audit_event SET details = '{}' WHERE number = 3",
        "UPDATE audit_event SET address_digest = 'another' WHERE number = 3",
        "UPDATE audit_event SET hash = 'another' WHERE number = 3",
        "UPDATE audit_event SET number = 33 WHERE number = 3",
        "DELETE FROM audit_event WHERE number = 3",
    ],
)
def test_a_changed_or_missing_event_is_found(five_events: None, change: str) -> None:
    tamper(change)

    assert chain.first_broken_link() == 3


def test_a_changed_address_is_found(five_events: None) -> None:
    run_sql("UPDATE audit_event SET address = '192.0.2.2' WHERE number = 3")
    db.session.expunge_all()

    assert chain.first_broken_link() == 3


def test_an_address_moved_from_another_event_is_found(five_events: None) -> None:
    tamper(
        "UPDATE audit_event SET address_digest = "
        "(SELECT address_digest FROM audit_event WHERE number = 2) WHERE number = 3"
    )

    assert chain.first_broken_link() == 3


def test_an_erased_address_leaves_the_chain_whole(five_events: None) -> None:  # case 80
    run_sql("UPDATE audit_event SET address = NULL WHERE number IN (1, 3)")
    db.session.expunge_all()

    assert chain.first_broken_link() is None
    audit.record("tea.poured", now=NOW)
    db.session.commit()
    assert chain.first_broken_link() is None


def test_a_missing_beginning_is_found(five_events: None) -> None:
    tamper("DELETE FROM audit_event WHERE number < 3")

    assert chain.first_broken_link() == 1


def test_a_missing_end_is_found(five_events: None) -> None:
    tamper("DELETE FROM audit_event WHERE number = 5")

    assert chain.first_broken_link() == 5


def test_a_log_that_was_emptied_is_found(five_events: None) -> None:
    tamper("DELETE FROM audit_event")

    assert chain.first_broken_link() == 1


def test_two_swapped_events_are_found(five_events: None) -> None:
    tamper(
        "UPDATE audit_event SET number = -number WHERE number IN (2, 3)",
        "UPDATE audit_event SET number = 5 + number WHERE number < 0",
    )

    assert chain.first_broken_link() == 2


def test_an_added_event_is_found(five_events: None) -> None:
    run_sql(
        "INSERT INTO audit_event (number, at, action, address_digest, details, hash) "
        "SELECT 6, at, action, address_digest, details, hash FROM audit_event WHERE number = 5"
    )
    db.session.expunge_all()

    assert chain.first_broken_link() == 6


def test_a_moved_end_of_the_chain_is_found(five_events: None) -> None:
    run_sql("UPDATE audit_head SET number = 4")

    assert chain.first_broken_link() == 6


def forge(number: int) -> None:
    """Change the last event, and chain it by hand as it was chained before there was a key."""
    tamper("UPDATE audit_event SET action = 'tea.spilt' WHERE number = 5")
    event = db.session.get_one(AuditEvent, number)
    previous = db.session.get_one(AuditEvent, number - 1).hash
    values = {"hash": sha256(chain._content(columns_of(event), previous)).hexdigest()}
    db.session.execute(sa.update(AuditEvent).where(AuditEvent.number == number).values(values))
    db.session.execute(sa.update(AuditHead).values(values))
    db.session.commit()
    db.session.expunge_all()


def test_whoever_owns_the_database_can_forge_no_event(five_events: None) -> None:
    forge(5)

    assert chain.first_broken_link() == 5


@pytest.mark.parametrize("voucher", [None, b"made up by somebody without the key"])
def test_nor_vouch_for_it(five_events: None, voucher: bytes | None) -> None:
    forge(5)
    db.session.execute(sa.update(AuditHead).values(vouched=5, voucher=voucher))
    db.session.commit()

    assert chain.first_broken_link() == 5


def test_who_has_the_key_can_vouch_for_what_a_former_version_wrote(five_events: None) -> None:
    forge(5)

    assert audit.vouch(origin=PHONE, now=NOW) is None
    db.session.expunge_all()
    assert chain.first_broken_link() is None
    audit.record("tea.poured", now=NOW)
    db.session.commit()
    assert chain.first_broken_link() is None


def test_nobody_can_vouch_for_a_broken_chain(five_events: None) -> None:
    tamper("UPDATE audit_event SET action = 'tea.spilt' WHERE number = 3")

    assert audit.vouch(origin=PHONE, now=NOW) == 3
    assert chain.first_broken_link() == 3


def test_a_log_cut_off_together_with_its_end_is_found(five_events: None) -> None:
    tamper(
        "DELETE FROM audit_event WHERE number > 3",
        "UPDATE audit_head SET number = 3",
    )

    assert chain.first_broken_link() == 4


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_event",
        "DELETE FROM audit_event WHERE number = 3",
        "UPDATE audit_event SET action = 'tea.spilt' WHERE number = 3",
        "UPDATE audit_event SET details = '{}', address = NULL",
        "UPDATE audit_event SET number = number + 100",
        "UPDATE audit_event SET hash = ''",
    ],
)
def test_the_database_itself_refuses_to_change_an_event(five_events: None, statement: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"):
        run_sql(statement)

    db.session.rollback()
    assert chain.first_broken_link() is None


def test_postgres_refuses_to_empty_the_log(engine: str, five_events: None) -> None:
    if engine == "sqlite":  # it has no TRUNCATE; DELETE is refused above
        return
    with pytest.raises(DatabaseError, match="append-only"):
        run_sql("TRUNCATE audit_event")

    db.session.rollback()
    assert chain.first_broken_link() is None


def test_not_even_the_portal_can_change_an_event(five_events: None) -> None:
    event = db.session.get_one(AuditEvent, 3)
    event.action = "tea.spilt"
    with pytest.raises(DatabaseError, match="append-only"):
        db.session.commit()

    db.session.rollback()
    db.session.delete(db.session.get_one(AuditEvent, 3))
    with pytest.raises(DatabaseError, match="append-only"):
        db.session.commit()

    assert stored(event).action == "tea.poured"


def unlinked(*statements: str) -> None:
    """Two events that are not linked yet; then what somebody does who owns the database."""
    for cup in (6, 7):
        audit.record("tea.poured", now=NOW, origin=PHONE, cup=cup)
    db.session.commit()
    for statement in statements:
        run_sql(statement)


def test_events_are_linked_in_the_order_in_which_they_were_recorded(five_events: None) -> None:
    unlinked()

    assert chain.catch_up() == 0
    assert [event.details["cup"] for event in audit.latest(9)] == [7, 6, 5, 4, 3, 2, 1]
    assert chain.first_broken_link() is None
    assert db.session.scalars(sa.select(UnlinkedEvent)).all() == []


def test_more_events_than_are_linked_at_once_are_linked_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    some = sa.select(*UnlinkedEvent.__table__.c).where(
        UnlinkedEvent.position > sa.bindparam("last")
    )
    two = some.order_by(UnlinkedEvent.position).limit(2)
    monkeypatch.setattr(chain, "_NEXT", two)
    for cup in range(5):
        audit.record("tea.poured", now=NOW, cup=cup)
    db.session.commit()

    assert [event.details["cup"] for event in audit.latest(9)] == [4, 3, 2, 1, 0]
    assert chain.first_broken_link() is None


def test_to_link_within_a_transaction_that_is_undone_changes_nothing(five_events: None) -> None:
    unlinked()

    chain.link()
    db.session.rollback()

    assert len(db.session.scalars(sa.select(UnlinkedEvent)).all()) == 2
    assert chain.first_broken_link() is None
    assert chain.end().number == 7


@pytest.mark.parametrize(
    "change",
    [
        "action = 'tea.spilt'",
        "at = '2020-01-01 00:00:00.000000'",
        "device = 'another'",
        "address = '192.0.2.2'",
        "details = '{}'",
    ],
)
def test_an_event_that_was_changed_before_it_was_linked_is_found(
    five_events: None, change: str
) -> None:
    first = "WHERE position = (SELECT min(position) FROM audit_unlinked)"
    unlinked(f"UPDATE audit_unlinked SET {change} {first}")  # noqa: S608 - our own words

    assert chain.first_broken_link() == 7
    assert chain.catch_up() == 1
    assert [event.details["cup"] for event in audit.latest(2)] == [7, 5]


def test_an_event_that_is_made_up_is_not_linked(five_events: None) -> None:
    made_up = UnlinkedEvent(id=uuid4(), at=NOW, action="tea.spilt", details={}, seal=b"32 bytes")
    db.session.add(made_up)
    db.session.commit()

    assert chain.first_broken_link() == 6
    assert chain.end().number == 5


def test_an_event_is_not_linked_twice(five_events: None) -> None:
    run_sql("CREATE TABLE kept AS SELECT * FROM audit_unlinked")
    unlinked("INSERT INTO kept SELECT * FROM audit_unlinked")
    chain.catch_up()
    run_sql("INSERT INTO audit_unlinked SELECT * FROM kept")
    run_sql("DROP TABLE kept")

    assert chain.first_broken_link() == 8
    assert chain.end().number == 7


def test_the_worker_links_what_nobody_reads(five_events: None) -> None:
    unlinked()

    worker.link_events()

    assert db.session.scalars(sa.select(UnlinkedEvent)).all() == []
