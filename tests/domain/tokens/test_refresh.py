"""Refresh tokens: good once."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from portal.domain.accounts import accounts, sessions
from portal.domain.audit import audit
from portal.domain.errors import SignInRequired
from portal.domain.tokens import refresh
from portal.extensions import db
from portal.models import RefreshToken, Session, Surface
from tests import factories
from tests.factories import NOW, PASSWORD, device

pytestmark = pytest.mark.usefixtures("context")

LASTS = timedelta(days=30)


def opened(username: str = "olivia") -> Session:
    """A session of a program."""
    factories.owner(username=username)
    return accounts.sign_in(
        username,
        PASSWORD,
        origin=device(),
        now=NOW,
        surface=Surface.API,
        dialect="sadhelx",
        lasts=LASTS,
    )


def redeem(session: Session, secret: str, after: timedelta = timedelta()) -> str:
    """Use a secret up."""
    return refresh.redeem(session, secret, origin=device(), now=NOW + after)


def lives(session: Session) -> bool:
    """Whether a request would be let in with it."""
    db.session.expire_all()
    return sessions.find_staff(session.id, now=NOW) is not None


def test_each_gives_out_the_next_one() -> None:
    session = opened()
    first = refresh.begin(session, now=NOW)

    second = redeem(session, first)
    third = redeem(session, second)

    assert len({first, second, third}) == 3
    assert lives(session)


# case 40
def test_one_that_is_shown_twice_ends_the_session_and_all_that_came_after() -> None:
    session = opened()
    first = refresh.begin(session, now=NOW)
    redeem(session, first)

    with pytest.raises(SignInRequired):
        redeem(session, first)

    assert not lives(session)
    assert audit.latest(1)[0].action == "refresh_token.replayed"


def test_an_unknown_one_is_refused_and_ends_nothing() -> None:
    session = opened()

    with pytest.raises(SignInRequired):
        redeem(session, "0" * 64)

    assert lives(session)


def test_one_of_another_session_is_refused_and_ends_neither() -> None:
    mine, other = opened(), opened("oscar")
    secret = refresh.begin(other, now=NOW)

    with pytest.raises(SignInRequired):
        redeem(mine, secret)

    assert lives(mine)
    assert redeem(other, secret)


def test_one_ends_with_its_session() -> None:
    session = opened()
    secret = refresh.begin(session, now=NOW)

    with pytest.raises(SignInRequired):
        redeem(session, secret, after=LASTS)


def test_only_digests_are_stored() -> None:
    secret = refresh.begin(opened(), now=NOW)

    row = db.session.scalars(sa.select(RefreshToken)).one()
    assert secret.encode() not in row.digest
    assert bytes.fromhex(secret) != row.digest
