"""Codes by the hundred thousand are the same codes as one by one."""

import pytest
import sqlalchemy as sa

from portal.domain.batches import batches, generation
from portal.domain.invitations import codes
from portal.extensions import db
from portal.models import BatchRow, Invitation
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.usefixtures("context")


def test_what_is_minted_is_found_opened_and_told_as_if_it_were_drawn_alone() -> None:
    for minted in generation.mint(100):
        code = codes.unseal(minted.sealed, minted.id)
        codes.require_complete(code)
        assert minted.lookup == codes.lookup(code)
        assert minted.hint == codes.hint(code)


def test_every_place_of_a_drawn_code_takes_every_symbol() -> None:
    drawn = list(generation.draw(5_000))

    assert len(set(drawn)) == len(drawn)
    assert [set(place) for place in zip(*drawn, strict=True)] == [set(codes.ALPHABET)] * 12


def test_a_code_that_was_drawn_before_is_drawn_anew(context: None) -> None:
    olivia = factories.owner()
    before = factories.invitation(olivia)
    batch = batches.create(
        factories.Terms(), name="Guests", size=3, by=olivia, origin=factories.device(), now=NOW
    )
    batches.advance(batch.id, origin=factories.device(), now=NOW)
    first, second, third = db.session.scalars(sa.select(BatchRow).order_by(BatchRow.number))
    first.lookup, second.lookup = before.lookup, third.lookup
    db.session.commit()

    batches.complete(batch.id, origin=factories.device(), now=NOW)

    issued = sa.select(sa.func.count()).where(Invitation.batch_id == batch.id)
    assert db.session.scalar(issued) == 3
