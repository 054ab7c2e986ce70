"""What each role is answered about whose invitation, at every address about one (case 81)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.clock import utcnow
from portal.domain.accounts import accounts
from portal.domain.batches import batches
from portal.domain.mail import outbox
from portal.domain.tokens import api_tokens
from portal.extensions import db
from portal.models import Account, Role, Scope
from tests import factories, verbs
from tests.pages import PageClient
from tests.web.conftest import Issued

TABLE = verbs.rows(verbs.PAGES)
ISSUERS = {
    "own": "alice",
    "colleague": "bob",
    "admin": "bob",
    "former": "alice",
    "above": "olivia",
    "batch": "bob",
}
GRANTS = {"admin": Role.ADMIN, "former": Role.OWNER, "above": Role.OWNER}


@dataclass(frozen=True)
class Target:
    """An invitation, and what belongs to it."""

    invitation: Issued
    batch: UUID
    mail: UUID
    in_batch: str


@pytest.fixture
def people(app: Flask) -> dict[str, UUID]:
    """Olivia issued what is above an admin; Oscar is another owner, Bob Alice's colleague."""
    roles = {
        "olivia": Role.OWNER,
        "oscar": Role.OWNER,
        "alice": Role.ADMIN,
        "bob": Role.ADMIN,
        "vera": Role.VIEWER,
    }
    with app.app_context():
        return {name: factories.staff(role, name, utcnow()).id for name, role in roles.items()}


@pytest.fixture
def meet(app: Flask, people: dict[str, UUID]) -> Callable[[str], Target]:
    """Issues anew what stands in a column of the table."""

    def meet(column: str) -> Target:
        with app.app_context():
            now, by = utcnow(), db.session.get_one(Account, people[ISSUERS[column]])
            before, grants = by.role, GRANTS.get(column)
            by.role = Role.OWNER if column == "former" else before
            batch = factories.batch(by, now, size=1, grants_role=grants)
            in_batch = next(batches.issued(batch.id))
            code = factories.code_of(in_batch)
            one = in_batch
            if column != "batch":
                mailbox = f"{uuid4().hex}@x.org"
                one = factories.invitation(by, now, recipient=mailbox, grants_role=grants)
            mail = outbox.queue("invitation", to="ana@x.org", about=one.id, now=now)
            by.role = before
            db.session.commit()
            return Target(Issued(one.id, factories.code_of(one)), batch.id, mail.id, code)

    return meet


@pytest.fixture
def ask(app: Flask, people: dict[str, UUID]) -> Callable[[str, str, Target], TestResponse]:
    """Asks as somebody: from a browser with a session, or as a program with a token."""
    browsers: dict[str, PageClient] = {}
    bearers: dict[str, str] = {}

    def enter(name: str) -> None:
        browser = app.test_client()
        assert isinstance(browser, PageClient)
        with app.app_context():
            account, now = db.session.get_one(Account, people[name]), utcnow()
            opened = accounts.start_session(account, origin=factories.device(), now=now)
            if account.may(Role.ADMIN):
                _, bearers[name] = api_tokens.create_api_token(
                    by=account,
                    name="walk",
                    scope=Scope.MANAGE,
                    expires_at=None,
                    origin=factories.device(),
                    now=now,
                )
            with browser.session_transaction() as session:
                session["_user_id"] = opened.get_id()
        browsers[name] = browser

    def ask(name: str, address: str, target: Target) -> TestResponse:
        if name not in browsers:
            enter(name)
        method, rule = address.split()
        url = rule.replace("<uuid:id>", str(_id_in(rule, target)))
        if rule.startswith("/api/"):
            headers = {"Authorization": f"Bearer {bearers.get(name, 'inv_none')}"}
            body: dict[str, Any] = {"expires_in_days": 9} if rule.endswith("extend") else {}
            return app.test_client().open(
                url, method=method, headers=headers, json=body if method == "POST" else None
            )
        if method == "GET":
            return browsers[name].get(url)
        return browsers[name].submit(url, FORM | {"invitation": str(target.invitation.id)})

    return ask


# Good values for every form there is.
FORM = {"validity": "never", "format": "csv", "codes": "y", "end_sessions": "y"}


def _id_in(rule: str, target: Target) -> UUID:
    if "/batches/" in rule or "/imports/" in rule:
        return target.batch
    return target.mail if rule.startswith("/admin/mails/") else target.invitation.id


def answer(response: TestResponse, target: Target) -> str:
    """As the table writes it: the status, and a + if a code can be read."""
    is_shown = any(code in response.text for code in (target.invitation.code, target.in_batch))
    return f"{response.status_code}{'+' if is_shown else ''}"


# case 81
@pytest.mark.parametrize("address", TABLE)
def test_each_role_is_answered_as_the_table_says(
    address: str,
    meet: Callable[[str], Target],
    ask: Callable[[str, str, Target], TestResponse],
) -> None:
    answered: dict[str, str] = {}
    for column in verbs.TARGETS:
        target = meet(column)
        answered[column] = answer(ask("alice", address, target), target)
    for role, name in (("viewer", "vera"), ("owner", "oscar")):
        targets = map(meet, verbs.TARGETS)
        (answered[role],) = {answer(ask(name, address, target), target) for target in targets}

    assert answered == TABLE[address]
