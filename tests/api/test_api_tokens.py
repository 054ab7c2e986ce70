"""API tokens: accepted where the JWT is, for as much as they were made for."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from portal.clock import utcnow
from portal.domain.accounts import accounts
from portal.domain.tokens import api_tokens
from portal.extensions import db
from portal.models import Account, ApiToken, Scope
from tests import factories
from tests.api.programs import ADMIN, INVITATION, Person, Program, data, refusal

pytestmark = pytest.mark.gunicorn

UNAUTHORIZED = (401, "unauthorized")
NOT_ALLOWED = (403, "This token may not do that.")


@pytest.fixture
def person(signed_in: tuple[Program, Person], behind: Flask) -> Account:
    """Whose tokens these are."""
    account = accounts.find(signed_in[1].email)
    assert account is not None
    return account


def make(person: Account, scope: Scope, expires_at: datetime | None = None) -> tuple[UUID, str]:
    """A new token: its id, and itself."""
    row, token = api_tokens.create_api_token(
        by=person,
        name="a test",
        scope=scope,
        expires_at=expires_at,
        origin=factories.device(),
        now=utcnow(),
    )
    return row.id, token


# case 92
@pytest.mark.parametrize("scope", list(Scope))
def test_a_token_may_do_what_its_scope_says_and_no_more(
    alice: Program, person: Account, scope: Scope
) -> None:
    alice.generate()
    issued = alice.newest()
    robot = Program(alice.url, make(person, scope)[1])

    answers = {
        Scope.READ: [robot.get(f"{INVITATION}/history"), robot.get(f"{INVITATION}/{issued}")],
        Scope.ISSUE: [
            robot.get(f"{INVITATION}/generate"),
            robot.post(f"{INVITATION}/generate", json={"max_uses": 2}),
        ],
        Scope.MANAGE: [
            robot.post(f"{INVITATION}/{issued}/extend", json={"expires_in_days": 30}),
            robot.post(f"{INVITATION}/{issued}/revoke"),
        ],
    }

    for needed, given in answers.items():
        for answer in given:
            if needed in scope.includes:
                assert data(answer)
            else:
                assert refusal(answer) == NOT_ALLOWED


def test_a_token_issues_in_the_name_of_who_made_it(alice: Program, person: Account) -> None:
    code = Program(alice.url, make(person, Scope.ISSUE)[1]).generate()

    row = alice.history()["data"][0]
    assert (row["code"], row["created_by"]) == (code, str(person.id))


def test_a_token_cannot_sign_out(alice: Program, person: Account) -> None:
    robot = Program(alice.url, make(person, Scope.MANAGE)[1])

    assert refusal(robot.post(f"{ADMIN}/logout")) == (400, "invalid request")
    assert data(robot.get(f"{INVITATION}/history"))
    assert data(alice.get(f"{INVITATION}/history"))


def test_a_revoked_token_is_refused_at_once(alice: Program, person: Account) -> None:
    row, token = make(person, Scope.READ)
    robot = Program(alice.url, token)
    assert data(robot.get(f"{INVITATION}/history"))

    api_tokens.revoke_api_token(row, by=person, origin=factories.device(), now=utcnow())

    assert refusal(robot.get(f"{INVITATION}/history")) == UNAUTHORIZED


def test_an_expired_token_is_refused(alice: Program, person: Account) -> None:
    soon, past = utcnow() + timedelta(hours=1), utcnow() - timedelta(seconds=1)

    assert data(Program(alice.url, make(person, Scope.READ, soon)[1]).get(f"{INVITATION}/history"))
    expired = Program(alice.url, make(person, Scope.READ, past)[1])
    assert refusal(expired.get(f"{INVITATION}/history")) == UNAUTHORIZED


def test_a_token_ends_with_the_account_it_speaks_for(alice: Program, person: Account) -> None:
    robot = Program(alice.url, make(person, Scope.MANAGE)[1])
    person.deactivated_at = utcnow()
    db.session.commit()

    assert refusal(robot.get(f"{INVITATION}/history")) == UNAUTHORIZED


def test_a_token_that_is_nearly_right_is_refused(alice: Program, person: Account) -> None:
    _, token = make(person, Scope.READ)

    for wrong in (token[:-1], token + "a", token.upper(), token.removeprefix("inv_")):
        robot = Program(alice.url, wrong)
        assert refusal(robot.get(f"{INVITATION}/history")) == UNAUTHORIZED


def test_the_database_holds_the_digest_of_a_token_and_never_the_token(
    alice: Program, person: Account
) -> None:
    row, token = make(person, Scope.READ)
    table = sa.inspect(ApiToken).local_table

    stored = db.session.execute(sa.select(table).where(table.c.id == row)).one()

    assert len(stored.digest) == 32
    assert stored.hint == token[-4:]
    for value in stored:
        assert token not in str(value)
        assert token.removeprefix("inv_").encode() not in (value if type(value) is bytes else b"")


def test_a_token_knows_when_it_was_used_last(alice: Program, person: Account) -> None:
    row, token = make(person, Scope.READ)
    before = utcnow()
    data(Program(alice.url, token).get(f"{INVITATION}/history"))

    db.session.expire_all()
    last_used_at = db.session.scalars(sa.select(ApiToken.last_used_at).filter_by(id=row)).one()
    assert last_used_at is not None
    assert before <= last_used_at <= utcnow()
