"""The mails to account holders, from the outbox to a real SMTP server."""

import re
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage

import pytest
import sqlalchemy as sa
import time_machine
from aiosmtpd.controller import Controller
from flask import Flask

from portal.domain.accounts import (
    accounts,
    credentials,
    deletion,
    passkeys,
    password_reset,
    registration,
    two_factor,
    verification,
)
from portal.domain.accounts.profile import Profile
from portal.domain.errors import RecipientUnproven
from portal.domain.invitations import redemptions
from portal.domain.tokens import api_tokens
from portal.extensions import db
from portal.mail import delivery
from portal.mail.languages import LANGUAGES, WARNINGS
from portal.models import Account, EmailProof, Mail, MailState, Role, Scope, Session, Verification
from tests import factories
from tests.authenticators import Authenticator, app_of
from tests.domain.outcomes import refused
from tests.factories import NOW, PASSWORD, code_of, device
from tests.mail.test_delivery import Mailbox, mailbox, server  # noqa: F401 - fixtures

pytestmark = pytest.mark.usefixtures("context", "noon")

SITE = "Ana's {7*7} party"
HARMLESS = ("activation", "new_email", "account_exists", "recipient")
GRAVE = ("reset", "email_changed", "second_factor_all_removed", "deactivated", *WARNINGS)


@pytest.fixture
def noon() -> Iterator[None]:
    """The clock of the worker stands where the tests' does."""
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def settings_changes(server: Controller) -> dict[str, object]:  # noqa: F811
    """A portal with a mail server, and a name that needs care."""
    return {
        "mail_url": f"smtp://127.0.0.1:{server.port}",
        "public_url": "https://party.example.org",
        "site_name": SITE,
    }


@pytest.fixture
def sent(mailbox: Mailbox) -> Iterator[list[EmailMessage]]:  # noqa: F811
    """What the server took."""
    return mailbox.taken


def text(message: EmailMessage, kind: str = "plain") -> str:
    """The words of a message."""
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def everything_happens(language: str) -> Account:
    """Somebody gets every kind of mail there is."""
    olivia = factories.owner()
    mia = factories.newcomer(profile=Profile(language=language))
    delivery.send_due()
    mia.confirmed_at, mia.email_proof = NOW, EmailProof.MAIL
    db.session.commit()
    bound = factories.invitation(olivia, recipient="ana@example.org", language=language)
    with refused(RecipientUnproven):
        redemptions.admit(code_of(bound), origin=device(), now=NOW, email="ana@example.org")
    registration.sign_up(email=mia.email, password=PASSWORD, origin=device(), now=NOW)
    password_reset.request("mia", origin=device(), now=NOW)
    for _ in range(2):
        here = accounts.sign_in("mia", PASSWORD, origin=device(), now=NOW)
    credentials.request_new_email(
        mia, "new@example.org", PASSWORD, session=here, origin=device(), now=NOW
    )
    _, token = factories.sent_to("new@example.org")
    delivery.send_due()
    credentials.confirm_new_email_by_link(token, origin=device(), now=NOW)
    change_how_to_sign_in(mia, here)
    make_api_token(mia)
    two_factor.remove_all(mia, by=olivia, origin=device(), now=NOW)
    deletion.deactivate(mia, by=olivia, origin=device(), now=NOW)
    delivery.send_due()
    return mia


def make_api_token(mia: Account) -> None:
    """Mia, who runs the portal with the others by now, makes an API token."""
    mia.role = Role.ADMIN
    api_tokens.create_api_token(
        by=mia, name="cron", scope=Scope.READ, expires_at=None, origin=device(), now=NOW
    )
    delivery.send_due()


def change_how_to_sign_in(mia: Account, session: Session) -> None:
    """All that somebody else, at her open browser, could do to let themselves in for good."""
    here, now = device(), NOW
    app_of(mia)
    two_factor.renew_recovery_codes(mia, origin=here, now=now)
    two_factor.remove_totp(mia, origin=here, now=now)
    options = passkeys.creation_options(mia, origin=here, now=now)
    answer = Authenticator("https://party.example.org", "party.example.org").create(options)
    passkeys.add(mia, answer, name="", origin=here, now=now)
    passkeys.remove(passkeys.of(mia)[0].id, by=mia, origin=here, now=now)
    credentials.change_password(mia, PASSWORD, f"{PASSWORD}!", keeps=session, origin=here, now=now)


@pytest.mark.parametrize("language", ["en", "id"])
def test_every_mail_comes_in_the_language_of_its_reader(
    sent: list[EmailMessage], language: str
) -> None:
    everything_happens(language)

    words = LANGUAGES[language]
    subjects = {kind: words.subjects[kind].format(site=SITE) for kind in HARMLESS + GRAVE}
    assert sorted(str(message["Subject"]) for message in sent) == sorted(subjects.values())
    for message in sent:
        assert message["Auto-Submitted"] == "auto-generated"
        assert "{" not in text(message).replace("{7*7}", "")
        is_harmless = message["Subject"] in {subjects[kind] for kind in HARMLESS}
        is_warning = message["Subject"] in {subjects[kind] for kind in WARNINGS}
        assert (words.unexpected in text(message)) is is_harmless
        assert (words.unexpected in text(message, "html")) is is_harmless
        assert (words.if_not_you.format(site=SITE) in text(message)) is is_warning
        assert ("https://party.example.org/reset" in text(message)) is is_warning


# case 41
def test_links_lead_to_our_own_address_and_codes_stand_in_both_forms(
    sent: list[EmailMessage],
) -> None:
    mia = factories.newcomer()
    code, token = factories.sent_to(mia.email)

    delivery.send_due()

    [message] = sent
    for kind in ("plain", "html"):
        assert f"https://party.example.org/activation/{token}" in text(message, kind)
        assert code in text(message, kind)
    assert re.findall(r"https?://[^/\s\"]+", text(message)) == ["https://party.example.org"]


def test_once_sent_the_code_is_nowhere_readable(sent: list[EmailMessage]) -> None:
    factories.newcomer()

    delivery.send_due()

    assert db.session.scalars(sa.select(Verification.sealed)).all() == [None]


def test_whoever_signs_a_stranger_up_cannot_write_to_them(sent: list[EmailMessage]) -> None:
    spam = Profile(first_name="Win at http://evil.example")

    factories.newcomer(profile=spam)
    delivery.send_due()

    assert "evil" not in text(sent[0]) + text(sent[0], "html") + str(sent[0]["Subject"])


def test_a_code_that_grew_old_in_the_outbox_is_not_sent(
    app: Flask, sent: list[EmailMessage]
) -> None:
    mia = factories.member()
    verification.send(mia, verification.Purpose.RESET, now=NOW)
    db.session.commit()
    delivery.send_due()
    verification.send(mia, verification.Purpose.RESET, now=NOW)
    db.session.commit()

    with time_machine.travel(NOW + timedelta(minutes=11), tick=False):
        delivery.send_due()

    failed = sa.select(Mail.error).where(Mail.state == MailState.FAILED, Mail.kind == "reset")
    assert db.session.scalars(failed).all() == ["The code was too old before this was sent."]


def test_a_used_code_is_not_sent(sent: list[EmailMessage]) -> None:
    factories.member()

    delivery.send_due()

    assert sent == []
    assert db.session.scalars(sa.select(Mail.state)).all() == [MailState.FAILED]


def test_a_new_device_is_told_once_and_the_first_one_not(sent: list[EmailMessage]) -> None:
    mia = factories.member()
    phone, laptop = device(), device(address="198.51.100.7")

    for origin in (phone, phone, laptop, laptop):
        accounts.sign_in("mia", PASSWORD, origin=origin, now=NOW)
    delivery.send_due()

    assert factories.mails_to(mia.email) == ["activation", "new_sign_in"]
    assert "198.51.100.7" in text(sent[0])
    assert "https://party.example.org/reset" in text(sent[0])
