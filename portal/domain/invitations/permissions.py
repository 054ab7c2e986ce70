"""Who may act on invitations: one rule for single ones, batches and selections.

To act is to show, mail, extend, revoke, print or export the code. The rule itself is
`Account.may_act_on`; every verb checks it first. It depends only on what never changes once an
invitation is issued, so the check cannot be outdated.
"""

from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa

from portal.domain.errors import NotAllowed, NotFound
from portal.extensions import db
from portal.models import Account, Batch, Invitation, Role


def require_may_act(on: Invitation | Batch, *, by: Account) -> None:
    """Raise `NotAllowed` if its role is above `by`'s, `NotFound` if it is in another's batch."""
    if on.is_within_reach_of(by):
        return
    if not by.may(Role.ADMIN):
        raise NotAllowed
    if on.grants_role is None or by.may_grant(on.grants_role):
        raise NotFound
    raise NotAllowed(f"It makes somebody {on.grants_role.phrase}, which you cannot do yourself.")


def require_may_act_on_all(ids: Collection[UUID], *, by: Account) -> None:
    """Raise `NotAllowed` if `by` may not act on all of these: then nothing is done."""
    if not by.may(Role.ADMIN):
        raise NotAllowed
    beyond = sa.select(sa.func.count()).where(
        Invitation.id.in_(ids), sa.not_(Invitation.within_reach_of(by))
    )
    if count := db.session.scalar(beyond):
        raise NotAllowed(
            f"Nothing was done: {count} of those you chose give a role above yours, or belong to a"
            " colleague's batch. Leave them out."
        )
