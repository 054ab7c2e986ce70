"""The audit log: one chained event for every verb worth remembering.

`record` takes part in the transaction of the verb that calls it, and should come last in it: it
locks the end of the chain until the verb commits.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from hmac import digest
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from portal.domain import keys
from portal.domain.origin import NOBODY, Origin
from portal.extensions import db
from portal.models import AuditEvent, AuditHead
from portal.statements import Statement

RECORDED = "portal.recorded"


def record(
    action: str,
    *,
    now: datetime,
    origin: Origin = NOBODY,
    actor: UUID | None = None,
    subject: UUID | None = None,
    **details: Any,
) -> None:
    """Append one event. `details` must hold neither secrets nor anything about a person."""
    db.session.flush()  # whatever else is to be written, before others have to wait
    ((number, previous),) = _NEXT.rows({})
    event = {
        "number": number,
        "at": now,
        "action": action,
        "actor_id": actor,
        "subject_id": subject,
        "device": origin.device_digest if origin.device else None,
        "address": origin.address or None,
        "address_digest": _address_digest(origin.address, number),
        "details": details,
    }
    event["hash"] = _hash(SimpleNamespace(**event), previous)
    _APPEND.rows(event | {"end": event["hash"]})
    db.session.info.setdefault(RECORDED, []).append(action)


_NEXT = Statement(
    sa.update(AuditHead)
    .values(number=AuditHead.number + 1)
    .returning(AuditHead.number, AuditHead.hash)
)
_APPEND = Statement(
    sa.update(AuditHead).values(hash=sa.bindparam("end")), along=[sa.insert(AuditEvent)]
)


def take_recorded(session: Session) -> list[str]:
    """The actions recorded since this was asked last: for whoever counts what was committed."""
    actions: list[str] = session.info.pop(RECORDED, [])
    return actions


def latest(count: int) -> list[AuditEvent]:
    """The last `count` events, newest first."""
    newest_first = sa.select(AuditEvent).order_by(AuditEvent.number.desc())
    return list(db.session.scalars(newest_first.limit(count)))


def about(*subjects: UUID) -> list[AuditEvent]:
    """All events about these things, oldest first."""
    return list(
        db.session.scalars(
            sa.select(AuditEvent)
            .where(AuditEvent.subject_id.in_(subjects))
            .order_by(AuditEvent.number)
        )
    )


def first_broken_link() -> int | None:
    """The number of the first event that was changed, or after which one is missing; None if whole.

    An address may have been erased (retention); one that is still there must fit its digest.
    """
    head = db.session.scalars(sa.select(AuditHead)).one()
    return _first_broken_link(head, vouched=_vouched(head))


def end() -> AuditHead:
    """Where the chain ends. Noted elsewhere, it shows later that nothing was cut off."""
    return db.session.scalars(sa.select(AuditHead)).one()


def leads_through(number: int, hash: str) -> bool:
    """Whether event `number` has that hash: a chain that was cut off and grown again has not."""
    found = sa.select(AuditEvent.hash).where(AuditEvent.number == number)
    return db.session.scalar(found) == hash


def vouch(*, origin: Origin, now: datetime) -> int | None:
    """Accept events that a former version chained without a key. Commits.

    Former versions may have run beside this one for a moment, while it was installed. Returns the
    first broken link, which nobody can vouch for; None if the chain is whole from now on.
    """
    head = db.session.scalars(sa.select(AuditHead).with_for_update()).one()
    broken = _first_broken_link(head, vouched=head.number)
    if broken is None:
        head.vouched, head.voucher = head.number, _vouchers(head.number, head.hash)[0]
        record("audit.vouched", now=now, origin=origin, events=head.number)
    db.session.commit()
    return broken


def _first_broken_link(head: AuditHead, *, vouched: int) -> int | None:
    previous, expected = "", 1
    for event in _all():
        content = _content(event, previous)
        if event.number != expected or not _fits(event, content, keyed=expected > vouched):
            return expected
        if event.address and event.address_digest not in _address_digests(event.address, expected):
            return expected
        previous, expected = event.hash, expected + 1
    return None if (head.number, head.hash) == (expected - 1, previous) else expected


def _vouched(head: AuditHead) -> int:
    """Up to where the chain may be of the time before it had a key: as the migration sealed it."""
    if not head.vouched or head.voucher is None:
        return 0
    last = db.session.scalar(sa.select(AuditEvent.hash).where(AuditEvent.number == head.vouched))
    return head.vouched if head.voucher in _vouchers(head.vouched, last or "") else 0


def _vouchers(number: int, last: str) -> list[bytes]:
    text = f"{number} {last}".encode()
    return [digest(key, text, "sha256") for key in keys.derive_all("audit voucher")]


def _fits(event: AuditEvent, content: bytes, *, keyed: bool) -> bool:
    if not keyed and event.hash == sha256(content).hexdigest():
        return True
    return any(
        event.hash == digest(key, content, "sha256").hex() for key in keys.derive_all("audit chain")
    )


def _all() -> Iterator[AuditEvent]:
    in_order = sa.select(AuditEvent).order_by(AuditEvent.number)
    # Reading may stop at the first broken link; Postgres would keep its cursor open.
    with db.session.scalars(in_order.execution_options(yield_per=1000)) as events:
        yield from events


def _hash(event: AuditEvent | SimpleNamespace, previous: str) -> str:
    """Keyed: whoever owns the database can delete events, but forge none."""
    return digest(keys.derive("audit chain"), _content(event, previous), "sha256").hex()


def _content(event: AuditEvent | SimpleNamespace, previous: str) -> bytes:
    return json.dumps(
        [
            previous,
            event.number,
            event.at.astimezone(UTC).isoformat(),
            event.action,
            str(event.actor_id),
            str(event.subject_id),
            event.device,
            event.address_digest,
            event.details,
        ],
        sort_keys=True,
        separators=(",", ":"),
    ).encode()


def _address_digest(address: str, number: int) -> str:
    """Keyed, and different for each event: erasing the address really erases it."""
    return _address_digests(address, number)[0]


def _address_digests(address: str, number: int) -> list[str]:
    text = f"{number} {address}".encode()
    return [digest(key, text, "sha256").hex() for key in keys.derive_all("audit address")]
