"""Mailed codes and links: good for one purpose, for a while, and once."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from portal.domain.accounts import accounts, verification
from portal.domain.audit import audit
from portal.domain.errors import LockedOut, NotFound, VerificationRefused
from portal.domain.mail import outbox
from portal.extensions import db
from portal.models import Account, Mail, Purpose, Verification
from tests import factories
from tests.domain.outcomes import refused
from tests.factories import NOW, PASSWORD, device

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def mia() -> Account:
    """A member with nothing left to confirm."""
    return factories.member()


def send(account: Account, purpose: Purpose = Purpose.RESET, **changes: object) -> str:
    """Mail a code; return it."""
    row = verification.send(account, purpose, **({"now": NOW} | changes))
    db.session.commit()
    assert row is not None
    return verification.contents(row.id)[1]


def confirm(
    account: Account | None, code: str, purpose: Purpose = Purpose.RESET, **changes: object
) -> Verification:
    """Use a code up."""
    used = verification.confirm(
        account, purpose, code, **({"origin": device(), "now": NOW} | changes)
    )
    db.session.commit()
    return used


def test_a_code_confirms_once(mia: Account) -> None:
    code = send(mia)

    assert confirm(mia, code).account.id == mia.id
    with refused(VerificationRefused):
        confirm(mia, code)


def test_a_code_is_eight_characters_and_forgiving(mia: Account) -> None:
    code = send(mia)

    assert len(code) == 8
    assert confirm(mia, f" {code[:4].lower()}-{code[4:].lower()} ")


def test_a_code_is_good_for_ten_minutes(mia: Account) -> None:
    assert confirm(mia, send(mia), now=NOW + timedelta(minutes=9, seconds=59))

    code = send(mia)
    with refused(VerificationRefused):
        confirm(mia, code, now=NOW + timedelta(minutes=10))


def test_a_link_is_good_for_a_day() -> None:
    factories.newcomer("ana")
    _, token = factories.sent_to("ana@example.org")

    with refused(VerificationRefused):
        verification.confirm_link(token, Purpose.ACTIVATION, now=NOW + timedelta(hours=24))
    before = NOW + timedelta(hours=23, minutes=59)
    assert verification.confirm_link(token, Purpose.ACTIVATION, now=before)
    with refused(VerificationRefused):
        verification.confirm_link("made up", Purpose.ACTIVATION, now=NOW)


# case 45
def test_a_code_of_another_purpose_or_person_confirms_nothing(mia: Account) -> None:
    code = send(mia, Purpose.RESET)
    ana = factories.member("ana")

    for who, purpose in ((mia, Purpose.NEW_PASSWORD), (mia, Purpose.ACTIVATION)):
        with refused(VerificationRefused):
            confirm(who, code, purpose)
    with refused(VerificationRefused):
        confirm(ana, code)
    assert confirm(mia, code)


def test_a_link_of_another_purpose_confirms_nothing() -> None:
    factories.newcomer("ana")
    _, token = factories.sent_to("ana@example.org")

    assert verification.by_link(token, Purpose.NEW_EMAIL) is None
    with refused(VerificationRefused):
        verification.confirm_link(token, Purpose.NEW_EMAIL, now=NOW)


# case 44
def test_after_five_wrong_codes_in_a_day_not_even_a_new_code_confirms(mia: Account) -> None:
    for hour in range(5):
        now = NOW + timedelta(hours=hour)
        send(mia, now=now)
        with refused(VerificationRefused):
            confirm(mia, "WRONG123", now=now)

    later = NOW + timedelta(hours=6)
    code = send(mia, now=later)
    with refused(VerificationRefused):
        confirm(mia, code, now=later)
    signed_in = accounts.sign_in("mia", PASSWORD, origin=device(), now=later)
    assert signed_in.account_id == mia.id

    next_day = NOW + timedelta(hours=25)
    assert confirm(mia, send(mia, now=next_day), now=next_day)


def test_a_right_code_gives_the_tries_back(mia: Account) -> None:
    for hour in range(3):
        now = NOW + timedelta(hours=hour)
        code = send(mia, now=now)
        for _ in range(4):
            with refused(VerificationRefused):
                confirm(mia, "WRONG123", now=now)
        assert confirm(mia, code, now=now)


# case 47
def test_a_mailbox_gets_at_most_three_mails_of_a_kind_in_an_hour(mia: Account) -> None:
    for minute in range(100):
        now = NOW + timedelta(seconds=30 * minute)
        verification.send(mia, Purpose.RESET, now=now)
        db.session.commit()

    assert factories.mails_to(mia.email).count("reset") == 3
    assert verification.send(mia, Purpose.RESET, now=NOW + timedelta(hours=1))


def test_guessing_at_many_accounts_locks_the_address(mia: Account) -> None:
    wrong = device(address="198.51.100.9")
    for _ in range(100):
        with refused(VerificationRefused):
            confirm(None, "WRONG123", origin=wrong)

    with refused(LockedOut):
        confirm(mia, send(mia), origin=wrong)


def test_nobody_is_refused_as_a_wrong_code_is(mia: Account) -> None:
    with refused(VerificationRefused) as of_nobody:
        confirm(None, "WRONG123")
    with refused(VerificationRefused) as of_mia:
        confirm(mia, "WRONG123")

    assert str(of_nobody.value) == str(of_mia.value)


def test_what_was_drawn_is_nowhere_once_its_mail_has_gone(mia: Account) -> None:
    code = send(mia)
    [row] = db.session.scalars(sa.select(Verification).where(Verification.purpose == Purpose.RESET))
    assert code.encode() not in (row.sealed or b"") + (row.digest or b"")

    [mail] = db.session.scalars(sa.select(Mail).where(Mail.about_id == row.id))
    outbox.sent(mail, now=NOW)

    with refused(NotFound):
        verification.contents(row.id)
    assert confirm(mia, code)


def test_a_used_code_is_not_mailed_any_more(mia: Account) -> None:
    code = send(mia)
    [mail] = db.session.scalars(sa.select(Mail).where(Mail.kind == "reset"))

    confirm(mia, code)

    with refused(NotFound):
        verification.contents(mail.about_id)


def test_voiding_leaves_nothing_to_confirm(mia: Account) -> None:
    code = send(mia)

    verification.void(mia.id, now=NOW)

    with refused(VerificationRefused):
        confirm(mia, code)


def test_a_handed_out_token_is_taken_once(mia: Account) -> None:
    token = verification.hand_out_token(mia, Purpose.SIGN_IN, now=NOW)
    db.session.commit()

    assert verification.confirm_link(token, Purpose.SIGN_IN, now=NOW).account.id == mia.id
    with refused(VerificationRefused):
        verification.confirm_link(token, Purpose.SIGN_IN, now=NOW)


def test_a_wrong_code_is_written_down_without_the_code(mia: Account) -> None:
    with refused(VerificationRefused):
        confirm(mia, "WRONG123")

    event = audit.latest(1)[0]
    assert (event.action, event.actor_id) == ("code.wrong", mia.id)
    assert event.details == {"purpose": "reset"}
