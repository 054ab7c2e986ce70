"""Members who race: for an address, with one mailed code, and between two new e-mails."""

from functools import partial
from itertools import count
from uuid import uuid4

import pytest
import sqlalchemy as sa
from httpx import Response

from portal.clock import utcnow
from portal.domain.accounts import verification
from portal.domain.audit import chain
from portal.extensions import db
from portal.models import Account, AttemptCounter, AuditEvent, Invitation, Purpose
from tests import factories
from tests.factories import PASSWORD, code_of
from tests.faults.attack import (
    Browser,
    at_once,
    browsers,
    ledger,
    must_break,
    statuses,
    uses,
    without_constraint,
)
from tests.faults.conftest import Serve

pytestmark = [pytest.mark.gunicorn, pytest.mark.usefixtures("context")]

TWELVE = 12
EMAIL = "mia@example.org"
NO_MAIL_SERVER = "smtp://127.0.0.1:9"  # set, so that addresses are proven; nothing is sent


# case 23
def test_of_parallel_sign_ups_with_one_address_in_many_cases_one_makes_an_account(
    serve_portal: Serve,
) -> None:
    with serve_portal() as url:
        answers = _sign_up(EMAIL, browsers(TWELVE, url))

    assert statuses(answers) == {303: TWELVE}
    assert _accounts(EMAIL) == 1
    assert set(factories.mails_to(EMAIL)) == {"activation"}
    assert len(factories.mails_to(EMAIL)) <= 3  # case 47


# case 23, its control
def test_looking_for_an_address_before_taking_it_would_sign_several_up(
    serve_unguarded: Serve,
) -> None:
    rule = ("account", "uq_account_email", "email")
    with (
        without_constraint(*rule),
        serve_unguarded(UNGUARDED="email_read_then_written") as url,
    ):
        devices = browsers(TWELVE, url)
        addresses = (f"mia{number}@example.org" for number in count())

        def attack() -> bool:
            address = next(addresses)
            _sign_up(address, [device.twin() for device in devices])
            return _accounts(address) > 1

        must_break(attack)


# case 24
def test_of_parallel_submits_of_one_mailed_code_one_succeeds(serve_portal: Serve) -> None:
    factories.newcomer("mia", utcnow())
    with serve_portal() as url:
        answers = _activate(browsers(TWELVE, url))

    assert statuses(answers) == {303: 1, 422: TWELVE - 1}
    assert _activations() == 1


# case 24, its control
def test_looking_at_a_code_before_using_it_up_would_let_several_use_it(
    serve_unguarded: Serve,
) -> None:
    mia = factories.newcomer("mia", utcnow())
    with serve_unguarded(UNGUARDED="code_read_then_used") as url:
        devices = browsers(TWELVE, url)

        def attack() -> bool:
            before = _activations()
            _activate([device.twin() for device in devices], _new_code(mia))
            return _activations() - before > 1

        must_break(attack)


# case 24
def test_of_parallel_guests_with_one_mailed_code_one_is_let_in(serve_portal: Serve) -> None:
    invited = factories.invitation(
        factories.owner(utcnow()), utcnow(), recipient="@example.org", max_uses=None
    )
    with serve_portal(MAIL_URL=NO_MAIL_SERVER) as url:
        answers = _come_by_mailed_code(browsers(TWELVE, url), invited)

    assert statuses(answers) == {303: 1, 422: TWELVE - 1}
    assert (uses(invited.id), ledger(invited.id)) == (1, 1)


# case 24, its control
def test_looking_at_a_guests_code_before_using_it_up_would_let_several_in(
    serve_unguarded: Serve,
) -> None:
    invited = factories.invitation(
        factories.owner(utcnow()), utcnow(), recipient="@example.org", max_uses=None
    )
    naive = {"UNGUARDED": "code_read_then_used", "MAIL_URL": NO_MAIL_SERVER}
    with serve_unguarded(**naive) as url:

        def attack() -> bool:
            before = uses(invited.id)
            _come_by_mailed_code(browsers(TWELVE, url), invited)
            return uses(invited.id) - before > 1

        must_break(attack)


# case 25
def test_of_two_links_for_new_emails_one_is_good_and_confirms_its_own(
    serve_portal: Serve,
) -> None:
    mia = factories.member("mia", utcnow())
    with serve_portal() as url:
        _ask_for(browsers(1, url)[0], "first@example.org", "second@example.org")
        links = {email: _link(email) for email in ("first@example.org", "second@example.org")}
        devices = browsers(len(links), url)
        answers = at_once(
            [
                partial(device.submit, link)
                for device, link in zip(devices, links.values(), strict=True)
            ]
        )

    taken = [
        email for email, answer in zip(links, answers, strict=True) if answer.status_code == 303
    ]
    db.session.refresh(mia)
    assert [mia.email] == taken


# case 25
def test_a_link_never_confirms_an_address_that_is_asked_for_meanwhile(
    serve_portal: Serve,
) -> None:
    mia = factories.member("mia", utcnow())
    with serve_portal() as url:
        assert not _confirm_while_another_is_asked_for(mia, browsers(1, url)[0])


# case 25, its control
def test_taking_the_address_asked_for_last_would_confirm_what_nobody_confirmed(
    serve_unguarded: Serve,
) -> None:
    mia = factories.member("mia", utcnow())
    with serve_unguarded(UNGUARDED="address_asked_for_last") as url:
        mias = browsers(1, url)[0]
        must_break(lambda: _confirm_while_another_is_asked_for(mia, mias))


_rounds = count()


def _confirm_while_another_is_asked_for(mia: Account, browser: Browser) -> bool:
    """Whether an address became Mia's that nobody has confirmed."""
    number = next(_rounds)
    own, foreign = f"own{number}@example.org", f"foreign{number}@example.org"
    _ask_for(browser, own)
    request = partial(
        browser.twin().submit, "/account/email", email=foreign, current_password=PASSWORD
    )
    at_once([partial(browser.twin().submit, _link(own)), request])
    db.session.refresh(mia)
    return mia.email == foreign


def _ask_for(browser: Browser, *emails: str) -> None:
    browser.sign_in("mia")
    for email in emails:
        answer = browser.submit("/account/email", email=email, current_password=PASSWORD)
        assert answer.status_code == 303, answer.text


def _link(email: str) -> str:
    return f"/account/email/{factories.sent_to(email)[1]}"


def _sign_up(address: str, devices: list[Browser]) -> list[Response]:
    """Sign up under one address, each time with another letter in upper case."""
    variants = [address[:place] + address[place:].capitalize() for place in range(len(address))]
    return at_once(
        [
            partial(device.submit, "/signup", email=variants[number % 3], password=PASSWORD)
            for number, device in enumerate(devices)
        ]
    )


def _activate(devices: list[Browser], code: str = "") -> list[Response]:
    code = code or factories.sent_to(EMAIL)[0]
    return at_once(
        [partial(device.submit, "/activation", identity=EMAIL, code=code) for device in devices]
    )


def _come_by_mailed_code(devices: list[Browser], invited: Invitation) -> list[Response]:
    """One asks for a code, and all come with it."""
    fields = {"code": code_of(invited), "email": f"{uuid4().hex}@example.org"}
    assert devices[0].submit("/", **fields).status_code == 422
    db.session.rollback()
    fields["mailed_code"], _ = factories.sent_to(fields["email"])
    db.session.rollback()
    return at_once([partial(device.submit, "/", **fields) for device in devices])


def _new_code(account: Account) -> str:
    """Another code to confirm the e-mail by, with all its tries."""
    db.session.execute(sa.delete(AttemptCounter))
    row = verification.send(account, Purpose.ACTIVATION, now=utcnow())
    db.session.commit()
    assert row is not None
    return verification.contents(row.id)[1]


def _accounts(address: str) -> int:
    """How many accounts an address has."""
    found = sa.select(sa.func.count()).select_from(Account).where(Account.email == address)
    return db.session.scalar(found) or 0


def _activations() -> int:
    """How often an activation was written down."""
    chain.catch_up()
    found = sa.select(sa.func.count()).where(AuditEvent.action == "account.activated")
    return db.session.scalar(found) or 0
