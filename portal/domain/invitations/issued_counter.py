"""Counts issued invitations per account, since counting a million rows takes long.

Batches are counted on the account's own row. Single invitations are counted on a few rows beside
it, one picked at random: with one row, each issuer would wait for the last one's commit.
"""

import random
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from portal.extensions import db
from portal.models import Account, IssuedCount

SLOTS = 16

# Runs along with the statement that issues an invitation; `of` returns its parameters.
COUNT = (
    sa.text("""
    INSERT INTO issued_count AS counted (account_id, slot, issued) VALUES (:issuer, :slot, 1)
    ON CONFLICT (account_id, slot) DO UPDATE SET issued = counted.issued + 1
    """)
    .bindparams(sa.bindparam("issuer", type_=IssuedCount.account_id.type))
    .columns()
)


def of(issuer: Account) -> dict[str, Any]:
    """The parameters of `COUNT`."""
    return {"issuer": issuer.id, "slot": random.randrange(SLOTS)}  # noqa: S311 - no secret


def add(issuer: UUID, issued: int) -> None:
    """Add a whole batch. Takes part in the caller's transaction."""
    counted = sa.update(Account).where(Account.id == issuer)
    db.session.execute(
        counted.values(invitations_issued=Account.invitations_issued + issued).execution_options(
            synchronize_session=False
        )
    )


def issued(issuer: UUID | None = None) -> int:
    """The total issued by one account, or by all."""
    many, slots = sa.select(_sum(Account.invitations_issued)), sa.select(_sum(IssuedCount.issued))
    if issuer:
        many, slots = (
            many.where(Account.id == issuer),
            slots.where(IssuedCount.account_id == issuer),
        )
    total = sa.select(many.scalar_subquery() + slots.scalar_subquery())
    return int(db.session.scalars(total).one())


def one_by_one(issuer: sa.BindParameter[UUID]) -> sa.ScalarSelect[int]:
    """The part counted by `COUNT`, as an expression; the rest is `Account.invitations_issued`."""
    counted = sa.select(_sum(IssuedCount.issued)).where(IssuedCount.account_id == issuer)
    return counted.scalar_subquery()


def _sum(column: Any) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(column), sa.literal_column("0"))
