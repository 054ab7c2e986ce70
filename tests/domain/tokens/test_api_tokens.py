"""API tokens: they end with what their owner may do, and say where they were used."""

from datetime import timedelta

import pytest

from portal.domain.accounts import (
    accounts,
    admin,
    credentials,
    deletion,
    password_reset,
    two_factor,
)
from portal.domain.audit import audit
from portal.domain.errors import InvalidCredentials, SignInRequired, TooManyFailures
from portal.domain.tokens import api_tokens, jwt, mobile
from portal.extensions import db
from portal.models import Account, ApiToken, Role, Scope
from tests import factories
from tests.authenticators import app_of
from tests.conftest import run_sql
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, PASSWORD, device, mails_to, sent_to

pytestmark = pytest.mark.usefixtures("context")

NEW = "a new battery staple"
REQUIRED = "UPDATE installation SET second_factor_required = true"


@pytest.fixture
def olivia() -> Account:
    """The owner."""
    return factories.owner()


@pytest.fixture
def alice(olivia: Account) -> Account:
    """An admin."""
    return factories.staff(Role.ADMIN, "alice")


def make(account: Account, scope: Scope = Scope.MANAGE) -> tuple[ApiToken, str]:
    """A new token."""
    return api_tokens.create_api_token(
        by=account, name="cron", scope=scope, expires_at=None, origin=device(), now=NOW
    )


def works(token: str) -> bool:
    """Whether a program is let in by it."""
    try:
        return bool(api_tokens.bearer(token, address="192.0.2.1", now=NOW))
    except SignInRequired:
        return False
    finally:
        db.session.rollback()


# case 89
def test_making_a_token_is_written_down_and_mailed(alice: Account) -> None:
    row, _ = make(alice, Scope.ISSUE)

    assert mails_to(alice.email)[-1] == "api_token_created"
    event = audit.latest(1)[0]
    assert (event.action, event.subject_id) == ("api_token.created", row.id)
    assert event.details == {"scope": "issue"}


# case 89
def test_a_token_ends_with_its_owners_deactivation_and_stays_ended(
    alice: Account, olivia: Account
) -> None:
    row, token = make(alice)

    deletion.deactivate(alice, by=olivia, origin=device(), now=NOW)
    assert not works(token)
    deletion.reactivate(alice, by=olivia, origin=device(), now=NOW)

    assert not works(token)
    assert stored(row).revoked_at == NOW
    assert "api_token.revoked" in [event.action for event in audit.about(row.id)]


# case 89
def test_a_token_made_while_its_owner_was_being_deactivated_is_not_revived(
    alice: Account, olivia: Account
) -> None:
    deletion.deactivate(alice, by=olivia, origin=device(), now=NOW)
    alice.deactivated_at = None
    _, late = make(alice)
    alice.deactivated_at = NOW
    db.session.commit()

    deletion.reactivate(alice, by=olivia, origin=device(), now=NOW)

    assert not works(late)


# case 89
def test_ten_wrong_passwords_that_deactivate_a_member_end_what_tokens_are_left() -> None:
    bob = factories.staff(Role.ADMIN, "bob")
    row, _ = make(bob)
    bob.role = Role.MEMBER
    db.session.commit()
    lasts = jwt.MOBILE_LASTS
    for number in range(10):
        later = NOW + number * timedelta(hours=1)
        with pytest.raises((InvalidCredentials, TooManyFailures)):
            mobile.sign_in("bob", "wrong", origin=device(), now=later, lasts=lasts)

    assert stored(row).revoked_at is not None


# case 89
@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
def test_a_token_ends_with_a_demotion_and_does_not_come_back_with_the_role(
    alice: Account, olivia: Account, role: Role
) -> None:
    _, token = make(alice)

    admin.change_role(alice, role, by=olivia, origin=device(), now=NOW)
    assert not works(token)
    admin.change_role(alice, Role.ADMIN, by=olivia, origin=device(), now=NOW)

    assert not works(token)


def test_a_token_outlives_a_change_between_roles_that_may_have_some(
    alice: Account, olivia: Account
) -> None:
    _, token = make(alice)
    admin.change_role(alice, Role.OWNER, by=olivia, origin=device(), now=NOW)
    assert works(token)


# case 89
@pytest.mark.parametrize("end_tokens", [True, False])
def test_a_new_password_ends_tokens_if_it_is_to(alice: Account, end_tokens: bool) -> None:
    _, token = make(alice)
    credentials.change_password(
        alice,
        PASSWORD,
        NEW,
        keeps=factories.session_of(alice),
        origin=device(),
        now=NOW,
        end_tokens=end_tokens,
    )
    assert works(token) is not end_tokens


# case 89
@pytest.mark.parametrize("end_tokens", [True, False])
def test_signing_out_everywhere_ends_tokens_if_it_is_to(alice: Account, end_tokens: bool) -> None:
    _, token = make(alice)
    here = factories.session_of(alice)
    accounts.sign_out_elsewhere(here, origin=device(), now=NOW, end_tokens=end_tokens)
    assert works(token) is not end_tokens


# case 89
@pytest.mark.parametrize("end_tokens", [True, False])
def test_staff_who_sign_somebody_out_everywhere_end_the_tokens_if_they_want_to(
    alice: Account, olivia: Account, end_tokens: bool
) -> None:
    _, token = make(alice)
    admin.end_sessions(alice, by=olivia, origin=device(), now=NOW, end_tokens=end_tokens)
    assert works(token) is not end_tokens


# case 89
def test_a_password_that_was_reset_ends_every_token(alice: Account) -> None:
    _, token = make(alice)
    password_reset.request("alice", origin=device(), now=NOW)
    code, _ = sent_to(alice.email)

    password_reset.finish("alice", code, NEW, origin=device(), now=NOW)

    assert not works(token)


def test_ending_ones_tokens_ends_nobody_elses(alice: Account, olivia: Account) -> None:
    make(alice)
    _, hers = make(olivia)
    api_tokens.revoke_all_of(alice, by=alice, origin=device(), now=NOW)
    db.session.commit()
    assert works(hers)
    assert api_tokens.count_living_of(alice, now=NOW) == 0
    assert api_tokens.count_living_of(olivia, now=NOW) == 1


# case 89
def test_no_token_opens_anything_while_a_second_factor_is_due(alice: Account) -> None:
    _, token = make(alice)
    signed = jwt.admin(factories.session_of(alice), now=NOW)
    assert works(token)
    assert works(signed)

    run_sql(REQUIRED)
    assert two_factor.are_due(alice)
    assert not works(token)
    assert not works(signed)

    app_of(alice)
    assert works(token)
    assert works(signed)


def test_the_tokens_of_members_of_whom_no_second_factor_is_asked_go_on() -> None:
    mia = factories.staff(Role.MEMBER, "mia")
    session = accounts.start_session(mia, origin=device(), now=NOW, dialect="mobile")
    token = jwt.mobile(session, now=NOW)
    run_sql(REQUIRED)
    assert jwt.session_of(token, jwt.MOBILE, now=NOW)


# case 89
def test_a_token_knows_where_it_was_used_last_and_writes_it_once_a_minute(alice: Account) -> None:
    row, token = make(alice)
    seen = []
    for seconds, address in ((0, "192.0.2.1"), (59, "192.0.2.2"), (60, "192.0.2.3")):
        api_tokens.bearer(token, address=address, now=NOW + timedelta(seconds=seconds))
        seen.append((stored(row).last_used_at, row.last_address))

    first, last = (NOW, "192.0.2.1"), (NOW + timedelta(seconds=60), "192.0.2.3")
    assert seen == [first, first, last]


# case 92
def test_a_scope_includes_those_below_it_and_signing_in_stands_apart() -> None:
    assert Scope.MANAGE.includes == {Scope.READ, Scope.ISSUE, Scope.MANAGE}
    assert Scope.ISSUE.includes == {Scope.READ, Scope.ISSUE}
    assert Scope.READ.includes == {Scope.READ}
    assert Scope.SIGN_IN.includes == {Scope.SIGN_IN}


# case 92
def test_a_token_of_before_may_have_two_scopes(alice: Account) -> None:
    row, token = make(alice, Scope.READ)
    row.scopes = frozenset({Scope.SIGN_IN, Scope.READ})
    db.session.commit()

    assert stored(row).scope == "read sign-in"
    bearer = api_tokens.bearer(token, address="", now=NOW)
    assert [scope for scope in Scope if bearer.may(scope)] == [Scope.READ, Scope.SIGN_IN]


def test_a_token_of_nobody_is_refused() -> None:
    with refused(SignInRequired):
        api_tokens.bearer("inv_" + "x" * 43, address="", now=NOW)
