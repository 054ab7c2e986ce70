"""Whose invitations a role may act on: every verb of the table, by everybody, on each (case 81)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from portal.domain.audit import audit
from portal.domain.batches import batches, bulk
from portal.domain.errors import NotAllowed, NotFound
from portal.domain.exports import exports
from portal.domain.exports.exports import Format, Wanted
from portal.domain.imports import preview
from portal.domain.invitations import api_listing, invitations
from portal.domain.invitations.invitations import Once, Terms
from portal.domain.invitations.listing import Query
from portal.domain.mail import outbox, resend
from portal.domain.operations import worker_tasks
from portal.extensions import db
from portal.models import Account, Batch, Invitation, Mail, Role
from tests import factories, verbs
from tests.domain.outcomes import refused
from tests.factories import NOW, code_of, device

pytestmark = pytest.mark.usefixtures("context")

LATER = NOW + timedelta(days=30)
TABLE = verbs.rows(verbs.VERBS)


@dataclass(frozen=True)
class Target:
    """What a verb is tried on: an invitation, of the batch beside it in the last column."""

    invitation: Invitation
    batch: Batch

    @cached_property
    def mail(self) -> Mail:
        """A mail about it."""
        return outbox.queue("invitation", to="ana@x.org", about=self.invitation.id, now=NOW)

    @property
    def wanted(self) -> Wanted:
        """An export of it alone, with its code."""
        return Wanted(query=Query(), ids=(self.invitation.id,), with_codes=True)


@pytest.fixture
def people() -> dict[str, Account]:
    """Olivia issued what is above an admin; Oscar is another owner, Bob Alice's colleague."""
    return {
        "olivia": factories.owner(),
        "oscar": factories.owner(username="oscar"),
        "alice": factories.staff(Role.ADMIN, "alice"),
        "bob": factories.staff(Role.ADMIN, "bob"),
        "vera": factories.staff(Role.VIEWER, "vera"),
    }


@pytest.fixture
def meet(people: dict[str, Account]) -> Callable[[str], Target]:
    """Issues anew what stands in a column of the table."""

    def meet(column: str) -> Target:
        by = people[ISSUERS[column]]
        before = by.role
        by.role = Role.OWNER if column == "former" else before
        grants = ROLES.get(column)
        batch = factories.batch(by, size=1, grants_role=grants)
        # A mailbox of its own: each may be written to a few times only.
        mailbox = f"{uuid4().hex}@x.org"
        single = factories.invitation(by, recipient=mailbox, grants_role=grants)
        by.role = before
        db.session.commit()
        in_batch = next(batches.issued(batch.id))
        return Target(in_batch if column == "batch" else single, batch)

    return meet


ISSUERS = {
    "own": "alice",
    "colleague": "bob",
    "admin": "bob",
    "former": "alice",
    "above": "olivia",
    "batch": "bob",
}
ROLES = {"admin": Role.ADMIN, "former": Role.OWNER, "above": Role.OWNER}
ACTORS = {"viewer": "vera", "owner": "oscar"} | dict.fromkeys(verbs.TARGETS, "alice")

Act = dict[str, Any]
DO: dict[str, Callable[[Target, Account, Act], object]] = {
    "invitations.reveal": lambda it, by, at: invitations.reveal(it.invitation, by=by, **at),
    "invitations.new_code": lambda it, by, _: invitations.new_code(it.invitation, by=by, now=NOW),
    "invitations.revoke": lambda it, by, at: invitations.revoke(it.invitation, by=by, **at),
    "invitations.extend": lambda it, by, at: invitations.extend(
        it.invitation, expires_at=LATER, by=by, **at
    ),
    "invitations.get_within_reach": lambda it, by, _: invitations.get_within_reach(
        it.invitation.id, by=by
    ),
    "bulk.find": lambda it, by, _: bulk.find([it.invitation.id], by=by),
    "bulk.revoke": lambda it, by, at: bulk.revoke([it.invitation.id], by=by, **at),
    "bulk.extend": lambda it, by, at: bulk.extend(
        [it.invitation.id], expires_at=LATER, by=by, **at
    ),
    "bulk.cards": lambda it, by, at: bulk.cards([it.invitation.id], by=by, **at),
    "bulk.count_unredeemed": lambda it, by, _: bulk.count_unredeemed(it.batch, by=by),
    "bulk.revoke_unredeemed": lambda it, by, at: bulk.revoke_unredeemed(it.batch, by=by, **at),
    "bulk.extend_batch": lambda it, by, at: bulk.extend_batch(
        it.batch, expires_at=LATER, by=by, **at
    ),
    "bulk.cards_of_batch": lambda it, by, at: bulk.cards_of_batch(it.batch, by=by, **at),
    "batches.get": lambda it, by, _: batches.get(it.batch.id, by=by),
    "resend.resend": lambda it, by, at: resend.resend(_mailable(it), by=by, **at),
    "resend.resend_chosen": lambda it, by, at: resend.resend_chosen(
        [it.invitation.id], by=by, **at
    ),
    "resend.resend_batch": lambda it, by, at: resend.resend_batch(it.batch, by=by, **at),
    "resend.retry_batch": lambda it, by, _: resend.retry_batch(it.batch, by=by, now=NOW),
    "resend.pause": lambda it, by, at: resend.pause(it.batch, by=by, **at),
    "resend.resume": lambda it, by, at: resend.resume(it.batch, by=by, **at),
    "resend.show": lambda it, by, at: resend.show(it.mail, by=by, **at),
    "resend.retry": lambda it, by, _: resend.retry(it.mail, by=by, now=NOW),
    "worker_tasks.resume_batch": lambda it, by, at: worker_tasks.resume_batch(
        it.batch, by=by, **at
    ),
    "preview.confirm": lambda it, by, at: preview.confirm(it.batch, by=by, **at),
    "preview.discard": lambda it, by, at: preview.discard(it.batch, by=by, **at),
    "exports.export": lambda it, by, at: list(exports.export(it.wanted, Format.CSV, by=by, **at)),
}


def _mailable(target: Target) -> Invitation:
    """The invitation of a batch is bound to nobody: bind it, so that it can be mailed."""
    target.invitation.recipient = target.invitation.recipient or f"{uuid4().hex}@x.org"
    db.session.commit()
    return target.invitation


def outcome(verb: str, target: Target, by: Account) -> str:
    """What the table calls it."""
    try:
        DO[verb](target, by, {"origin": device(), "now": NOW})
    except NotAllowed:
        return "no"
    except NotFound:
        return "none"
    finally:
        db.session.rollback()
    return "yes"


# case 81
@pytest.mark.parametrize("verb", TABLE)
def test_each_role_may_do_what_the_table_says(
    verb: str, people: dict[str, Account], meet: Callable[[str], Target]
) -> None:
    found = {column: outcome(verb, meet(column), people["alice"]) for column in verbs.TARGETS}
    for role in ("viewer", "owner"):
        by = people[ACTORS[role]]
        (found[role],) = {outcome(verb, meet(column), by) for column in verbs.TARGETS}

    assert found == TABLE[verb]


# case 81
def test_the_rule_says_the_same_of_one_as_of_many(
    people: dict[str, Account], meet: Callable[[str], Target]
) -> None:
    met = [meet(column).invitation for column in verbs.TARGETS]
    for by in people.values():
        asked = sa.select(Invitation.id).where(Invitation.within_reach_of(by))
        within = set(db.session.scalars(asked))
        assert [each.id in within for each in met] == [each.is_within_reach_of(by) for each in met]


# case 81
def test_one_that_is_beyond_stops_all_that_were_chosen(
    people: dict[str, Account], meet: Callable[[str], Target]
) -> None:
    own, above, theirs = (meet(column).invitation for column in ("own", "above", "batch"))
    events = len(audit.latest(100))

    with refused(NotAllowed) as refusal:
        bulk.revoke([own.id, above.id, theirs.id], by=people["alice"], origin=device(), now=NOW)

    assert "Nothing was done: 2 of those you chose" in str(refusal.value)
    db.session.refresh(own)
    assert own.revoked_at is None
    assert len(audit.latest(100)) == events


# case 81
def test_an_export_leaves_out_the_codes_that_are_beyond_and_says_how_many(
    people: dict[str, Account], meet: Callable[[str], Target]
) -> None:
    for column in verbs.TARGETS:
        meet(column)
    alice, wanted = people["alice"], Wanted(query=Query(), with_codes=True)

    pieces = exports.export(wanted, Format.CSV, by=alice, origin=device(), now=NOW)
    file = b"".join(pieces).decode()

    for issued in db.session.scalars(sa.select(Invitation)):
        assert (code_of(issued) in file) == issued.is_within_reach_of(alice)
        assert f"{issued.hint}" in file
    beyond = sum(
        not each.is_within_reach_of(alice) for each in db.session.scalars(sa.select(Invitation))
    )
    assert exports.withheld(wanted, by=alice, now=NOW) == beyond > 0
    assert exports.withheld(wanted, by=people["oscar"], now=NOW) == 0


# case 81
def test_programs_of_an_admin_who_was_an_owner_read_no_owners_code(
    people: dict[str, Account], meet: Callable[[str], Target]
) -> None:
    own, former = meet("own").invitation, meet("former").invitation
    alice = people["alice"]

    for query, number in (
        (Query(), 1),
        (Query(), None),
        (Query(size=2), 2),
        (Query(text="x.org"), 1),
    ):
        shown = {
            row[0]: row[1] for row in api_listing.page(query, by=alice, now=NOW, number=number).rows
        }
        assert code_of(former) not in shown.values()
        assert shown.get(str(own.id), code_of(own)) == code_of(own)
        assert shown.get(str(former.id), "****-****-****") == "****-****-****"

    alice.role = Role.OWNER
    assert code_of(former) in {row[1] for row in api_listing.page(Query(), by=alice, now=NOW).rows}


# case 81
def test_a_repeated_request_of_a_demoted_owner_gives_no_owners_code(
    people: dict[str, Account],
) -> None:
    olivia, once = people["olivia"], Once("key", "an owner")
    origin = device()
    invitations.issue(Terms(grants_role=Role.OWNER), by=olivia, origin=origin, now=NOW, once=once)
    olivia.role = Role.ADMIN
    db.session.commit()

    with refused(NotAllowed):
        invitations.issue(Terms(), by=olivia, origin=origin, now=NOW, once=once)


def test_every_verb_of_the_table_is_tried() -> None:
    assert DO.keys() == TABLE.keys()
