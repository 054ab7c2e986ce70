"""Bound invitations in the JSON dialects, in a portal that can send mail."""

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from portal.clock import utcnow
from portal.domain.accounts import registration as members
from portal.domain.invitations import recipient_verification
from portal.extensions import db
from portal.models import Account, Invitation, Redemption, Role
from tests import factories
from tests.factories import PASSWORD, code_of, sent_to
from tests.pages import PageClient

ADA = "ada@example.org"
UNKNOWN = {"status": "error", "message": "invalid invitation code, try again!"}
STRONG = "@Testing1"


@pytest.fixture
def settings_changes() -> dict[str, object]:
    """A portal that can send mail."""
    return {"mail_url": "smtp://127.0.0.1:9"}


@pytest.fixture
def issued(app: Flask) -> tuple[str, str]:
    """A code for Ada, and what proves her address in a mailed link."""
    return _issue(app)


def _issue(app: Flask, **terms: Any) -> tuple[str, str]:
    with app.app_context():
        invited = factories.invitation(factories.owner(utcnow()), utcnow(), recipient=ADA, **terms)
        return code_of(invited), recipient_verification.of_link(invited.id, ADA)


def mailed_to_ada(app: Flask) -> str:
    """The last code."""
    with app.app_context():
        return sent_to(ADA)[0]


def uses(app: Flask) -> int:
    """How often the one invitation was used."""
    with app.app_context():
        return db.session.scalars(sa.select(Invitation.uses)).one()


def redeem(client: PageClient, code: str, **body: str) -> TestResponse:
    """Sign in by a code, as the app does."""
    return client.post(f"/api/v1/user/login/{code}", json=body, headers={"deviceId": "ada's phone"})


# case 88
def test_a_program_proves_an_address_by_the_code_that_is_mailed_there(
    app: Flask, client: PageClient, issued: tuple[str, str]
) -> None:
    code, _ = issued
    for email in (ADA, "eve@example.org"):
        for _ in range(2):
            answer = redeem(client, code, email=email)
            assert (answer.status_code, answer.json) == (400, UNKNOWN)
    wrong = redeem(client, code, email=ADA, mailed_code="00000000")
    assert (wrong.status_code, wrong.json) == (400, UNKNOWN)

    answer = redeem(client, code, email=ADA, mailed_code=mailed_to_ada(app))

    assert answer.json is not None
    assert answer.json["data"] == "Login Successful"


# case 88
def test_a_program_that_opened_the_mailed_link_shows_its_proof(
    app: Flask, client: PageClient, issued: tuple[str, str]
) -> None:
    code, proof = issued
    assert redeem(client, code, email=ADA, proof=proof[::-1]).status_code == 400

    assert redeem(client, code, proof=proof).status_code == 200

    with app.app_context():
        assert db.session.scalars(sa.select(Redemption.email)).one() == ADA


# case 88
def test_a_program_registers_nobody_as_staff_by_a_typed_address(
    app: Flask, client: PageClient
) -> None:
    code, proof = _issue(app, grants_role=Role.ADMIN)
    body = {
        "username": "ada",
        "email": ADA,
        "password": PASSWORD,
        "confirm_password": PASSWORD,
        "invitation_code": code,
    }

    refused = client.post("/api/v1/admin/register", json=body)
    assert (refused.status_code, refused.json) == (400, UNKNOWN)

    assert client.post("/api/v1/admin/register", json=body | {"proof": proof}).status_code == 200


# case 88
@pytest.mark.parametrize(
    ("path", "more"),
    [("/usermgmt/signup", {"username": "ada"}), ("/okami/auth/registration", {})],
)
def test_who_signs_up_with_a_bound_code_uses_it_by_the_activation(
    app: Flask, client: PageClient, issued: tuple[str, str], path: str, more: dict[str, str]
) -> None:
    body = {"email": ADA, "password": STRONG, "invitation_code": issued[0]} | more

    assert client.post(path, json=body).status_code in {200, 201}

    assert uses(app) == 0
    with app.app_context():
        members.activate(ADA, sent_to(ADA)[0], origin=factories.device(), now=utcnow())
    assert uses(app) == 1


# case 88
def test_staff_who_have_not_confirmed_are_let_in_where_that_can_be_said(
    app: Flask, client: PageClient
) -> None:
    with app.app_context():
        invited = factories.invitation(factories.owner(utcnow()), utcnow(), grants_role=Role.ADMIN)
        code = code_of(invited)
    body = {"username": "sam", "email": "sam@example.org", "password": STRONG}
    registration = body | {"confirm_password": STRONG, "invitation_code": code}
    assert client.post("/api/v1/admin/register", json=registration).status_code == 200
    with app.app_context():
        assert (
            db.session.scalars(
                sa.select(Account.email_proof).where(Account.username == "sam")
            ).one()
            is None
        )

    assert client.post("/api/v1/admin/login", json=body).status_code == 200
    assert client.post("/v1/login", json=body).status_code == 200
    by_sadhelx = client.post("/usermgmt/login", json={"identity": "sam", "password": STRONG})
    assert (by_sadhelx.status_code, by_sadhelx.json) == (
        401,
        {"status": False, "msg": "Email unverified"},
    )
