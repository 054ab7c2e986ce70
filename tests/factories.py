"""Accounts, devices and invitations for the tests: Olivia is the owner, Alice an admin, Vera a
viewer, Mia a member.
"""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import sqlalchemy as sa

from portal.domain.accounts import accounts, registration, verification
from portal.domain.batches import batches
from portal.domain.client import Origin
from portal.domain.invitations import invitations, redemptions
from portal.domain.invitations.invitations import Terms
from portal.extensions import db
from portal.models import Account, Batch, Invitation, Mail, Redemption, Role, Session, Status

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"

_numbers = count(1)


def device(name: str = "", address: str = "192.0.2.1") -> Origin:
    """A device, new each time unless it is named."""
    return Origin(device=name or f"device {next(_numbers)}", address=address, client="a test")


def owner(now: datetime = NOW, username: str = "olivia") -> Account:
    """The owner."""
    return accounts.create_owner(
        email=f"{username}@example.org",
        username=username,
        password=PASSWORD,
        origin=device(),
        now=now,
    )


def staff(role: Role, username: str, now: datetime = NOW) -> Account:
    """A staff account with that role."""
    account = owner(now, username)
    account.role = role
    db.session.commit()
    return account


def session_of(account: Account, now: datetime = NOW) -> Session:
    """A browser session in which an account is signed in."""
    return accounts.start_session(account, origin=device(), now=now)


def newcomer(username: str = "mia", now: datetime = NOW, **changes: Any) -> Account:
    """A member who has just signed up, and was mailed a code."""
    values: dict[str, Any] = {
        "email": f"{username}@example.org",
        "username": username,
        "password": PASSWORD,
        "origin": device(),
        "now": now,
    }
    account = registration.sign_up(**(values | changes))
    assert account is not None
    return account


def member(username: str = "mia", now: datetime = NOW, **changes: Any) -> Account:
    """A member who has confirmed the e-mail."""
    account = newcomer(username, now, **changes)
    code, _ = sent_to(account.email)
    return registration.activate(account.email, code, origin=device(), now=now)


def sent_to(email: str) -> tuple[str, str]:
    """The code and the link's token of the last mail to an address."""
    newest = sa.select(Mail).where(Mail.recipient == email).order_by(Mail.id.desc())
    mail = db.session.scalars(newest).first()
    assert mail is not None
    _, code, token = verification.contents(mail.about_id)
    return code, token


def mails_to(email: str) -> list[str]:
    """The kinds of mail sent to an address, in order."""
    to_mailbox = sa.select(Mail.kind).where(Mail.recipient == email).order_by(Mail.id)
    return list(db.session.scalars(to_mailbox))


def invitation(
    by: Account, now: datetime = NOW, code: str | None = None, **terms: Any
) -> Invitation:
    """An invitation, valid for a week unless `terms` say otherwise."""
    chosen = Terms(**({"expires_at": now + timedelta(days=7)} | terms))
    issued = invitations.issue(chosen, by=by, origin=device(), now=now, own_code=code)
    return db.session.merge(issued, load=False)


def one_of_each_status() -> dict[Status, Invitation]:
    """An invitation in each state at NOW."""
    olivia = owner()
    past = NOW - timedelta(days=30)
    used, revoked = invitation(olivia), invitation(olivia)
    redeem(code_of(used), origin=device(), now=NOW)
    invitations.revoke(revoked, by=olivia, origin=device(), now=NOW)
    return {
        Status.ACTIVE: invitation(olivia),
        Status.SCHEDULED: invitation(olivia, starts_at=NOW + timedelta(days=1)),
        Status.EXPIRED: invitation(olivia, now=past),
        Status.USED: used,
        Status.REVOKED: revoked,
    }


def batch(
    by: Account, now: datetime = NOW, size: int = 3, name: str = "Guests", **terms: Any
) -> Batch:
    """An issued batch, valid for a week unless `terms` say otherwise."""
    chosen = Terms(**({"expires_at": now + timedelta(days=7)} | terms))
    begun = batches.create(chosen, name=name, size=size, by=by, origin=device(), now=now)
    batches.complete(begun.id, origin=device(), now=now)
    return batches.get(begun.id, by=by)


def redeem(code: str, **values: Any) -> Redemption:
    """Redeem as an API request does, without an open transaction in the session."""
    db.session.commit()
    return redemptions.redeem(code, **values)


def code_of(invited: Invitation) -> str:
    """The plain code of an invitation."""
    return invitations.code_of(invited)
