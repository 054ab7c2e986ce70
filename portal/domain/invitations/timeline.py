"""Timelines: the events of an invitation, of an account, or recent ones of the whole portal."""

from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import sqlalchemy as sa

from portal.domain.audit import audit
from portal.extensions import db
from portal.models import Account, AuditEvent, Invitation, Redemption

Row = TypeVar("Row", Account, Invitation)


@dataclass(frozen=True)
class Entry:
    """An event, its actor's username ("" for invitees), and the invitation it is about."""

    event: AuditEvent
    actor: str
    invitation: Invitation | None


def of_invitation(invitation: Invitation) -> list[Entry]:
    """All events of an invitation and of its batch, oldest first."""
    subjects = [invitation.id, invitation.batch_id] if invitation.batch_id else [invitation.id]
    return _told(audit.about(*subjects))


def of_account(person: Account) -> list[Entry]:
    """All events about an account, oldest first."""
    return _told(audit.about(person.id))


def latest(count: int) -> list[Entry]:
    """The latest events of the whole portal, newest first."""
    return _told(audit.latest(count))


def redemptions_of(invitation: Invitation) -> list[Redemption]:
    """Its redemptions, oldest first."""
    return list(
        db.session.scalars(
            sa.select(Redemption)
            .where(Redemption.invitation_id == invitation.id)
            .order_by(Redemption.at)
            .limit(500)
        )
    )


def _told(events: list[AuditEvent]) -> list[Entry]:
    actors = _by_id(Account, {event.actor_id for event in events})
    subjects = _by_id(Invitation, {event.subject_id for event in events})
    return [
        Entry(
            event,
            actors[event.actor_id].username if event.actor_id in actors else "",
            subjects.get(event.subject_id),
        )
        for event in events
    ]


def _by_id(table: type[Row], ids: set[UUID | None]) -> dict[UUID | None, Row]:
    rows = db.session.scalars(sa.select(table).where(table.id.in_(ids - {None})))
    return {row.id: row for row in rows}
