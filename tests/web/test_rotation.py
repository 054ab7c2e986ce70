"""A new SECRET_KEY with the former one as a fallback: nothing dies before its time (case 38)."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from portal import create_app
from portal.clock import utcnow
from portal.domain.accounts import accounts
from portal.domain.audit import audit, chain
from portal.domain.invitations import invitations, listing
from portal.domain.invitations.listing import Query
from portal.domain.operations import installation
from portal.domain.tokens import api_tokens, jwt
from portal.extensions import db
from portal.models import Role, Scope
from tests import factories
from tests.conftest import SECRET, make_settings
from tests.pages import PageClient
from tests.web.conftest import Issue

NEW = {"secret_key": "a new secret that is quite long enough", "secret_key_fallbacks": (SECRET,)}
Move = Callable[[PageClient], PageClient]


@pytest.fixture
def rotated(database_url: str) -> Iterator[Flask]:
    """The same portal with a new key, after its restart."""
    app = create_app(make_settings(database_url, **NEW))
    app.test_client_class = PageClient
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def move(rotated: Flask) -> Move:
    """The same browser, after the restart: with its cookies."""

    def move(browser: PageClient) -> PageClient:
        moved = rotated.test_client()
        assert isinstance(moved, PageClient)
        for name in ("session", "device"):
            if cookie := browser.get_cookie(name):
                moved.set_cookie(name, cookie.value)
        return moved

    return move


# case 38
def test_codes_are_let_in_and_read_again(rotated: Flask, issue: Issue) -> None:
    party = issue(code="GARDEN-PARTY-26")
    browser = rotated.test_client()
    assert isinstance(browser, PageClient)

    assert browser.submit("/", {"code": "garden party 26"}).status_code == 303
    with rotated.app_context():
        assert invitations.code_of(invitations.get(party.id)) == "GARDEN-PARTY-26"


# case 38
def test_staff_stay_signed_in(olivia: PageClient, move: Move) -> None:
    assert move(olivia).get("/admin/").status_code == 200


# case 38
def test_whoever_was_let_in_stays_in(client: PageClient, move: Move, issue: Issue) -> None:
    client.submit("/", {"code": issue().code})

    assert move(client).get("/welcome").status_code == 200


# case 38
def test_a_device_is_known_again_and_stays_locked(
    client: PageClient, move: Move, issue: Issue
) -> None:
    for _ in range(3):
        client.submit("/", {"code": "WRONGWRONG12"})

    assert move(client).submit("/", {"code": issue().code}).status_code == 429


# case 38
def test_a_form_that_was_open_can_be_sent(client: PageClient, move: Move, issue: Issue) -> None:
    open_form = {"csrf_token": client.token(), "code": issue().code}

    assert move(client).post("/", data=open_form).status_code == 303


# case 38
def test_tokens_of_programs_and_cursors_stay_good(app: Flask, rotated: Flask) -> None:
    now, origin = utcnow(), factories.device()
    with app.app_context():
        olivia = factories.owner(now)
        for _ in range(2):
            factories.invitation(olivia, now)
        signed = jwt.admin(accounts.start_session(olivia, origin=origin, now=now), now=now)
        _, made = api_tokens.create_api_token(
            by=olivia, name="till", scope=Scope.READ, expires_at=None, origin=origin, now=now
        )
        cursor = listing.find(Query(size=1), now=now).next or ""

    with rotated.app_context():
        assert api_tokens.bearer(signed, address="", now=now).account.role is Role.OWNER
        assert api_tokens.bearer(made, address="", now=now).scopes == {Scope.READ}
        assert len(listing.find(Query(size=1, cursor=cursor), now=now).rows) == 1


# case 38
def test_the_audit_chain_is_whole_and_goes_on(app: Flask, rotated: Flask) -> None:
    with app.app_context():
        installation.recognise_key(now=utcnow())
        factories.owner(utcnow())
    with rotated.app_context():
        assert installation.recognise_key(now=utcnow())

        assert audit.latest(1)[0].action == "key.replaced"
        assert chain.first_broken_link() is None
