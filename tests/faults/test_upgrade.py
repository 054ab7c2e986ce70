"""What the previous release left in its database, brought to the newest tables."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy.engine import make_url

from portal import create_app
from portal.db.types import new_id
from portal.domain.accounts import accounts, registration, verification
from portal.domain.audit import audit, chain
from portal.domain.client import COMMAND_LINE, Origin
from portal.domain.errors import InvitationUsed, LockedOut
from portal.domain.invitations import codes, invitations, issued_counter
from portal.domain.invitations.invitations import Terms
from portal.domain.lockout import lockout
from portal.domain.tokens import api_tokens
from portal.extensions import Base, db
from portal.models import (
    Account,
    ApiToken,
    AttemptCounter,
    AuditEvent,
    AuditHead,
    EmailProof,
    Installation,
    Invitation,
    InvitationRequest,
    Mail,
    MailRefusal,
    Purpose,
    Redemption,
    RequestState,
    Role,
    Scope,
    Session,
    Surface,
    Verification,
)
from tests import factories
from tests.conftest import POSTGRES, columns_of, make_settings
from tests.domain.outcomes import refused
from tests.factories import NOW, device

FORMER = "0001"  # the tables of the previous release
BEFORE_SCOPES = "0005"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CLI = COMMAND_LINE.device_digest
LOSERS = ("squatter", "second")  # whose address was another's in its one form
OPEN, SPENT = "K7QM4TXB9RW0", "ABCD1234EFG0"


@pytest.fixture
def house(engine: str, tmp_path: Path, testrun_uid: str, worker_id: str) -> Iterator[Flask]:
    """A portal over a database of its own, with the tables of the previous release."""
    name = f"portal_upgrade_{testrun_uid[:12]}_{worker_id}"
    url = f"sqlite:///{tmp_path / 'portal.db'}"
    if engine == "postgres":
        on_server(f"CREATE DATABASE {name}")
        url = make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    app = create_app(make_settings(url))
    with app.app_context():
        upgrade(revision=FORMER)
        yield app
        db.session.remove()
        db.engine.dispose()
    if engine == "postgres":
        on_server(f"DROP DATABASE {name} WITH (FORCE)")


def on_server(statement: str) -> None:
    """Have the Postgres server do this."""
    server = make_url(POSTGRES).set(drivername="postgresql")
    with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as admin:
        admin.execute(statement)


def write(table: type[Base], **values: Any) -> None:
    """Add a row, naming only the columns that the previous release had."""
    types = table.__table__.c
    columns = [sa.column(name, types[name].type) for name in values]
    db.session.execute(sa.insert(sa.table(table.__tablename__, *columns)).values(values))


def issue(code: str, by: UUID, max_uses: int, admitted: Origin) -> None:
    """An invitation that one device used."""
    invitation = uuid4()
    write(
        Invitation,
        id=invitation,
        lookup=codes.lookup(code),
        sealed=codes.seal(code, invitation),
        hint=codes.hint(code),
        label="Former",
        created_by_id=by,
        created_at=NOW,
        max_uses=max_uses,
        uses=1,
    )
    write(
        Redemption,
        id=uuid4(),
        invitation_id=invitation,
        device=admitted.device_digest,
        at=NOW,
        address="192.0.2.1",
    )


def remember(number: int, previous: str) -> str:
    """An event, chained without a key as it was then; its hash."""
    event = AuditEvent(
        number=number,
        at=NOW,
        action="tea.poured",
        address="192.0.2.1",
        address_digest=chain._address_digest("192.0.2.1", number),
        details={"cup": number},
    )
    event.hash = sha256(chain._content(columns_of(event), previous)).hexdigest()
    columns = ("number", "at", "action", "address", "address_digest", "details", "hash")
    write(AuditEvent, **{name: getattr(event, name) for name in columns})
    return event.hash


@pytest.fixture
def former(house: Flask) -> Flask:
    """Two invitations, three events, and a device that is locked out."""
    olivia = uuid4()
    write(
        Account,
        id=olivia,
        email="olivia@example.org",
        username="olivia",
        username_key="olivia",
        password_hash="",
        role=Role.OWNER,
        created_at=NOW,
    )
    issue(OPEN, olivia, 2, device("first"))
    issue(SPENT, olivia, 1, device("first"))
    end = ""
    for number in (1, 2, 3):
        end = remember(number, end)
    db.session.execute(sa.text("UPDATE audit_head SET number = 3, hash = :end"), {"end": end})
    lock = lockout._limits().lock.key_for(device("locked").device_digest)
    write(AttemptCounter, key=lock, hits=1, expires_at=NOW.timestamp() + 600)
    db.session.commit()
    upgrade()
    return house


# case 79
def test_codes_are_still_open_and_counts_intact(former: Flask) -> None:
    assert factories.redeem(OPEN, origin=device("second"), now=NOW)
    assert factories.redeem(OPEN, origin=device("first"), now=NOW)
    with refused(InvitationUsed):
        factories.redeem(OPEN, origin=device("third"), now=NOW)
    with refused(InvitationUsed):
        factories.redeem(SPENT, origin=device("third"), now=NOW)
    assert set(db.session.scalars(sa.select(Invitation.uses))) == {1, 2}


# case 79
def test_a_device_that_was_locked_out_is_locked_out(former: Flask) -> None:
    with refused(LockedOut):
        factories.redeem(OPEN, origin=device("locked"), now=NOW)


# case 79
def test_the_audit_chain_of_before_goes_on_with_a_key(former: Flask) -> None:
    assert chain.first_broken_link() is None
    audit.record("tea.poured", now=NOW)
    db.session.commit()
    assert chain.first_broken_link() is None


# case 79
def test_nobody_changes_an_event_of_before(former: Flask) -> None:
    """Not even chained anew: the upgrade vouched for the end of the chain as it was."""
    drop_trigger()
    event = db.session.get_one(AuditEvent, 3)
    event.details = {"cup": 33}
    previous = db.session.get_one(AuditEvent, 2).hash
    event.hash = sha256(chain._content(columns_of(event), previous)).hexdigest()
    db.session.execute(sa.update(AuditHead).values(hash=event.hash))
    db.session.commit()

    assert chain.first_broken_link() == 1


def test_to_go_back_waits_until_events_are_linked_and_keeps_the_counts(
    former: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    olivia = db.session.scalars(sa.select(Account)).one()
    invitations.issue(Terms(), by=olivia, origin=device("desk"), now=NOW)
    db.session.commit()  # a table in use is not changed
    with pytest.raises(SystemExit):
        downgrade(revision="0004")
    assert "audit verify" in caplog.text
    db.session.rollback()
    chain.catch_up()

    downgrade(revision="0004")

    issued = db.session.scalar(sa.text("SELECT invitations_issued FROM account"))
    assert issued == 1
    db.session.commit()
    upgrade()
    assert issued_counter.issued(olivia.id) == 1


SAM, KAI = "Dalvik/2.1 (Sam)", "Dalvik/2.1 (Kai)"


def make_token(owner: UUID, name: str, scope: Scope = Scope.READ, **times: datetime) -> UUID:
    """An API token of the previous release."""
    token, values = uuid4(), {"created_at": NOW - DAY} | times
    named = {"id": token, "account_id": owner, "name": name, "hint": "abcd"}
    digest = sha256(name.encode()).digest()
    write(ApiToken, **named, **values, digest=digest, scope=frozenset({scope}))
    return token


def sign_in_on_a_phone(owner: UUID, device: str, client: str, at: datetime) -> None:
    """A session of the mobile dialect."""
    write(
        Session,
        id=uuid4(),
        account_id=owner,
        surface=Surface.API,
        dialect="mobile",
        device=Origin(device, "").device_digest,
        client=client,
        created_at=at,
        last_seen_at=at,
        expires_at=at + DAY,
        revoked_at=at,
    )


def write_account(name: str, role: Role, **values: Any) -> UUID:
    """An account of the previous release."""
    account = uuid4()
    write(
        Account,
        id=account,
        email=f"{name}@example.org",
        username=name,
        username_key=name,
        password_hash="",
        role=role,
        created_at=NOW,
        **values,
    )
    return account


# case 92
def test_tokens_that_signed_people_in_keep_doing_so_and_the_others_never_begin(
    house: Flask,
) -> None:
    upgrade(revision=BEFORE_SCOPES)
    olivia = write_account("olivia", Role.OWNER)
    used = {"last_used_at": NOW}
    named = make_token(olivia, "an app that names no devices", **used)
    make_token(olivia, "a program that reads", scope=Scope.MANAGE, **used)
    make_token(olivia, "never used", scope=Scope.ISSUE)
    sign_in_on_a_phone(olivia, f"mobile token:{named}\n{SAM}", SAM, NOW)
    db.session.commit()

    upgrade()

    assert scopes() == {
        "an app that names no devices": "read sign-in",
        "a program that reads": "manage",
        "never used": "issue",
    }


# case 92
def test_where_it_is_not_stored_which_token_signed_somebody_in_all_that_may_have_go_on(
    house: Flask,
) -> None:
    upgrade(revision=BEFORE_SCOPES)
    olivia = write_account("olivia", Role.OWNER)
    make_token(olivia, "used since", last_used_at=NOW)
    make_token(olivia, "used in that minute", last_used_at=NOW - HOUR - MINUTE / 2)
    make_token(olivia, "used before only", last_used_at=NOW - 2 * HOUR)
    make_token(olivia, "made afterwards", created_at=NOW - MINUTE, last_used_at=NOW)
    make_token(olivia, "revoked", last_used_at=NOW, revoked_at=NOW)
    sign_in_on_a_phone(olivia, "mobile:kai's phone", KAI, NOW - HOUR)
    db.session.commit()

    upgrade()

    assert scopes() == {
        "used since": "read sign-in",
        "used in that minute": "read sign-in",
        "used before only": "read",
        "made afterwards": "read",
        "revoked": "read",
    }


# case 89
def test_tokens_of_whoever_was_deactivated_or_demoted_before_do_not_come_back(
    house: Flask,
) -> None:
    upgrade(revision=BEFORE_SCOPES)
    for name, role, gone in (
        ("olivia", Role.OWNER, None),
        ("alice", Role.ADMIN, NOW),
        ("vera", Role.VIEWER, None),
    ):
        make_token(write_account(name, role, deactivated_at=gone), name)
    db.session.commit()

    upgrade()

    living = sa.select(ApiToken.name).where(ApiToken.revoked_at.is_(None))
    assert db.session.scalars(living).all() == ["olivia"]


def test_the_way_back_gives_scopes_that_the_former_release_knows(former: Flask) -> None:
    olivia = db.session.scalars(sa.select(Account)).one()
    for scopes_of_one in (
        {Scope.SIGN_IN},
        {Scope.READ, Scope.SIGN_IN},
        {Scope.MANAGE, Scope.SIGN_IN},
        {Scope.ISSUE},
    ):
        row, _ = api_tokens.create_api_token(
            by=olivia,
            name=" ".join(sorted(scopes_of_one)),
            scope=Scope.READ,
            expires_at=None,
            origin=device("desk"),
            now=NOW,
        )
        row.scopes = frozenset(scopes_of_one)
        db.session.commit()
    chain.catch_up()

    downgrade(revision=BEFORE_SCOPES)

    assert scopes() == {
        "sign-in": "read",
        "read sign-in": "read",
        "manage sign-in": "manage",
        "issue": "issue",
    }


def scopes() -> dict[str, str]:
    """What each token may do, as it is stored."""
    found = db.session.execute(sa.text("SELECT name, scope FROM api_token")).all()
    db.session.commit()
    return {token.name: token.scope for token in found}


def drop_trigger() -> None:
    """As somebody would who owns the database."""
    triggers = {"sqlite": "audit_event_unchanged", "postgresql": "audit_event_kept ON audit_event"}
    db.session.execute(sa.text(f"DROP TRIGGER {triggers[db.engine.dialect.name]}"))


# --- E-mails: who proved theirs, and one form of each ---


def _account(name: str, email: str, *, minutes: int = 0, **values: Any) -> UUID:
    """Somebody whose e-mail counted as confirmed."""
    made = NOW + timedelta(minutes=minutes)
    row = {
        "id": uuid4(),
        "serial": minutes + 100,
        "email": email,
        "username": name,
        "username_key": name,
        "password_hash": "",
        "role": Role.ADMIN,
        "created_at": made,
        "confirmed_at": made,
        "invitations_issued": 0,
        "failed_sign_ins": 0,
        "first_name": "",
        "last_name": "",
        "language": "en",
    }
    write(Account, **(row | values))
    return row["id"]


def _event(action: str, about: UUID, *, device: str = "") -> None:
    """What happened to an account, in the log."""
    number = db.session.scalar(sa.text("SELECT count(*) FROM audit_event")) or 0
    values = {"number": number + 1, "at": NOW, "action": action, "subject_id": about}
    write(AuditEvent, **values, device=device or None, address_digest="", details={}, hash="")


def _proofs() -> dict[str, str | None]:
    found = db.session.execute(sa.select(Account.username, Account.email_proof))
    return dict(found.all())


@pytest.fixture
def before_proofs(house: Flask) -> Flask:
    """The tables as they were before e-mails were proven."""
    upgrade(revision="0005")
    return house


# case 88
def test_an_email_counts_as_proven_only_where_the_log_says_so(before_proofs: Flask) -> None:
    db.session.execute(sa.update(Installation).values(owned_since=NOW))
    _account("olivia", "olivia@example.org", role=Role.OWNER)
    _account("alice", "alice@example.org", minutes=1)
    _event("account.registered", _account("carla", "carla@x.org", minutes=2), device=CLI)
    _event("account.activated", _account("mia", "mia@x.org", minutes=3, role=Role.MEMBER))
    _event("email.changed", _account("vera", "vera@x.org", minutes=4))
    _account("nils", "nils@x.org", minutes=5, role=Role.MEMBER, confirmed_at=None)
    db.session.commit()

    upgrade()

    assert _proofs() == {
        "olivia": EmailProof.FIRST_OWNER,
        "alice": None,
        "carla": EmailProof.COMMAND_LINE,
        "mia": EmailProof.MAIL,
        "vera": EmailProof.MAIL,
        "nils": None,
    }
    let_in = sa.select(Account.username).where(Account.confirmed_at.is_not(None))
    assert set(db.session.scalars(let_in)) == {"olivia", "alice", "carla", "mia", "vera"}


# case 95
def test_addresses_get_one_form_and_who_proved_one_keeps_it(before_proofs: Flask) -> None:
    for minutes, (name, email) in enumerate(
        {
            "squatter": "\ufb01@x.org",  # older, and never written to at fi@x.org
            "fiona": "fi@x.org",
            "zz": "\uff5a\uff5a@x.org",
            "second": "z\uff5a@x.org",
            "idn": "ida@xn--bcher-kva.example",
            "plain": "b\u00fccher@b\u00fccher.example",
        }.items()
    ):
        _event("account.activated", _account(name, email, minutes=minutes))
    db.session.commit()

    upgrade()

    found = db.session.scalars(sa.select(Account)).all()
    assert {one.username: one.email for one in found if one.username not in LOSERS} == {
        "fiona": "fi@x.org",
        "zz": "zz@x.org",
        "idn": "ida@b\u00fccher.example",
        "plain": "b\u00fccher@b\u00fccher.example",
    }
    lost = {one.username: one.email for one in found if one.username in LOSERS}
    assert {email.partition("@")[2] for email in lost.values()} == {"renamed.invalid"}
    assert _proofs() == {
        "fiona": EmailProof.MAIL,
        "plain": EmailProof.MAIL,
        "idn": EmailProof.MAIL,  # the same mailbox
        "zz": None,  # another one, as far as we know
        "squatter": None,
        "second": None,
    }
    for one in found:
        assert accounts.find(one.email) == one
        assert accounts.find(one.username) == one


# case 95
def test_every_table_that_holds_an_address_has_it_in_its_one_form(before_proofs: Flask) -> None:
    olivia = _account("olivia", "olivia@x.org")
    issue(OPEN, olivia, 2, device("first"))
    old, new = "\ufb01@x.org", "fi@x.org"
    for statement in (
        "UPDATE invitation SET recipient = :old",
        "UPDATE redemption SET email = :old",
    ):
        db.session.execute(sa.text(statement), {"old": old})
    mail = {"kind": "invitation", "about_id": olivia, "state": "waiting", "tries": 0}
    write(Mail, id=uuid4(), recipient=old, created_at=NOW, due_at=NOW, **mail)
    for email in (old, new):
        write(MailRefusal, email=email, at=NOW)
    for minutes, email in enumerate((old, new, "@x.org")):
        _request(email, NOW + timedelta(minutes=minutes))
    pending = {"account_id": olivia, "purpose": Purpose.NEW_EMAIL, "misses": 0}
    times = {"created_at": NOW, "expires_at": NOW + timedelta(days=1)}
    write(Verification, id=uuid4(), email=old, sealed=b"sealed", **pending, **times)
    write(Verification, id=uuid4(), email="ida@xn--bcher-kva.example", **pending, **times)
    db.session.commit()

    upgrade()

    for column in (Invitation.recipient, Redemption.email, Mail.recipient, MailRefusal.email):
        assert db.session.scalars(sa.select(column)).all() == [new]
    requests = db.session.execute(
        sa.select(InvitationRequest.email, InvitationRequest.state).order_by(InvitationRequest.id)
    ).all()
    assert sorted(requests) == [("@x.org", "waiting"), (new, "declined"), (new, "waiting")]
    verifications = db.session.scalars(sa.select(Verification).order_by(Verification.email)).all()
    assert [(one.email, one.used_at is None) for one in verifications] == [
        (new, False),
        ("ida@b\u00fccher.example", True),
    ]
    assert verifications[0].sealed is None


def test_to_go_back_keeps_what_was_mailed_about_accounts(before_proofs: Flask) -> None:
    upgrade()
    mia = factories.newcomer()
    invited = factories.invitation(factories.owner(), recipient="ana@x.org")
    verification.send_to_recipient(invited.id, "ana@x.org", now=NOW)
    db.session.commit()

    downgrade(revision="0005")

    kept = db.session.execute(sa.text("SELECT account_id, purpose FROM verification")).all()
    assert len(kept) == 1
    db.session.commit()
    upgrade()
    assert accounts.find("mia") == mia
    code, _ = factories.sent_to(mia.email)
    assert (
        registration.activate("mia", code, origin=device(), now=NOW).email_proof is EmailProof.MAIL
    )


def _request(email: str, now: datetime) -> None:
    values = {"name": "", "reason": "", "language": "en", "state": RequestState.WAITING}
    write(InvitationRequest, id=new_id(), email=email, created_at=now, **values)
