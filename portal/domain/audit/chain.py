"""The chain of the audit log: each event is linked to the one before it by a keyed hash.

Verbs commit their events unlinked, each with a seal of its own; `link` appends them to the chain,
many at once. If verbs did so themselves, each would lock the end of the chain until its commit and
all others would wait. Somebody with access to the database can cut off the last events, linked or
not, but cannot forge any.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from hashlib import sha256
from hmac import compare_digest
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from portal.domain.crypto import keys
from portal.extensions import db
from portal.models import AuditEvent, AuditHead, UnlinkedEvent

LINKED_AT_ONCE = 500


class End(NamedTuple):
    """The end of the chain. Kept elsewhere, it later proves that nothing was cut off."""

    number: int
    hash: str


def seal(event: Mapping[str, Any]) -> bytes:
    """The keyed digest (32 bytes) of an unlinked event, given by its columns."""
    return keys.mac("audit seal", _sealed_content(event))


def link() -> None:
    """Link all pending events. Takes part in the caller's transaction; concurrent linkers wait."""
    for _ in _links():
        pass


def catch_up() -> int:
    """Link pending events before the log is read, and commit; call it outside a transaction.

    Returns how many pending events the portal never recorded or has already linked: somebody with
    access to the database, but not the key, inserted them. They are not linked.
    """
    refused = 0
    for unfit in _links():
        db.session.commit()
        refused += unfit
    db.session.commit()
    return refused


def is_linked() -> bool:
    """Whether there are no pending events."""
    return not _is_any_beyond(0)


def end() -> End:
    """The current end of the chain."""
    catch_up()
    head = _head()
    return End(head.number, head.hash)


def leads_through(number: int, hash: str) -> bool:
    """Whether event `number` has this hash; not so once the chain was cut off and regrown."""
    found = sa.select(AuditEvent.hash).where(AuditEvent.number == number)
    return db.session.scalar(found) == hash


def first_broken_link() -> int | None:
    """The number of the first event that was changed or is missing; None if the chain is intact.

    An address may have been cleared (retention); one that is still there must match its digest.
    Pending events that cannot be linked count as a break at the end of the chain.
    """
    refused = catch_up()
    head = _head()
    broken = _first_broken_link(head, vouched=_vouched(head))
    return head.number + 1 if broken is None and refused else broken


def vouch() -> tuple[int | None, int]:
    """Accept the events so far that have no key. Takes part in the caller's transaction.

    Returns the first broken link, which cannot be accepted (None: the chain is intact from now on),
    and the number of events.
    """
    link()
    head = db.session.scalars(sa.select(AuditHead).with_for_update()).one()
    broken = _first_broken_link(head, vouched=head.number)
    if broken is None:
        head.vouched, head.voucher = head.number, _vouchers(head.number, head.hash)[0]
    return broken, head.number


_EVENTS = AuditEvent.metadata.tables[AuditEvent.__tablename__]
_UNLINKED = UnlinkedEvent.metadata.tables[UnlinkedEvent.__tablename__]
_IS_ANY = sa.select(sa.exists().where(_UNLINKED.c.position > sa.bindparam("last")))
# An UPDATE that changes nothing, because it locks on both engines.
_LOCK = (
    sa.update(AuditHead)
    .values(number=AuditHead.number)
    .returning(AuditHead.number, AuditHead.hash)
    .execution_options(synchronize_session=False)
)
_NEXT = (
    sa.select(_UNLINKED)
    .where(_UNLINKED.c.position > sa.bindparam("last"))
    .order_by(_UNLINKED.c.position)
    .limit(LINKED_AT_ONCE)
)
_LINKED_BEFORE = (
    sa.select(AuditEvent.id)
    .join(_UNLINKED, _UNLINKED.c.id == AuditEvent.id)
    .where(_UNLINKED.c.position.between(sa.bindparam("first"), sa.bindparam("last")))
)


class _each_of(FunctionElement[Any]):  # noqa: N801 - it is called like `sa.func`'s
    """The elements of a JSON array, one per row, in the column `value`."""

    inherit_cache = True


@compiles(_each_of, "sqlite")
def _each_in_sqlite(element: _each_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_each_of, "postgresql")
def _each_in_postgres(element: _each_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements({compiler.process(element.clauses, **options)})"


def _places() -> Sequence[sa.ColumnElement[Any]]:
    """Position, number, address digest and hash of each event in the parameter `places`.

    `places` is a JSON array of such arrays.
    """
    each = _each_of(sa.bindparam("places", type_=sa.JSON))
    place = each.table_valued(sa.column("value", sa.JSON)).c.value
    position, number, digest, keyed = (place[index].as_string() for index in range(4))
    return sa.cast(position, sa.BigInteger), sa.cast(number, sa.BigInteger), digest, keyed


def _appending() -> sa.Insert:
    """Copies events within the database, which is cheaper than inserting them from Python."""
    position, number, digest, keyed = _places()
    events, unlinked = _EVENTS.c, _UNLINKED.c
    told = [column.key for column in events if column.key in unlinked]
    chosen = sa.select(*(unlinked[name] for name in told), number, digest, keyed)
    return sa.insert(_EVENTS).from_select(
        [*told, "number", "address_digest", "hash"], chosen.where(unlinked.position == position)
    )


def _forgetting() -> sa.Delete:
    position = sa.select(_places()[0])
    return sa.delete(_UNLINKED).where(_UNLINKED.c.position.in_(position))


_APPEND, _FORGET = _appending(), _forgetting()


def _links() -> Iterator[int]:
    """Link pending events chunk by chunk, yielding how many of each chunk were rejected."""
    last = 0
    while _is_any_beyond(last):
        number, previous = db.session.execute(_LOCK).one()
        rows = [dict(row) for row in db.session.execute(_NEXT, {"last": last}).mappings()]
        if not rows:  # linked by somebody else meanwhile
            return
        fit = _fit(rows)
        _append(fit, End(number, previous))
        last = rows[-1]["position"]
        yield len(rows) - len(fit)


def _is_any_beyond(last: int) -> bool:
    return bool(db.session.scalar(_IS_ANY, {"last": last}))


def _fit(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that the portal recorded and has not linked yet."""
    ends = {"first": rows[0]["position"], "last": rows[-1]["position"]}
    known = set(db.session.scalars(_LINKED_BEFORE, ends))
    fit = []
    for row in rows:
        if row["id"] not in known and _is_sealed(row):
            known.add(row["id"])
            fit.append(row)
    return fit


def _is_sealed(row: Mapping[str, Any]) -> bool:
    ours = keys.macs("audit seal", _sealed_content(row))
    return any(compare_digest(row["seal"], each) for each in ours)


def _append(rows: Sequence[Mapping[str, Any]], end: End) -> None:
    if not rows:
        return
    last, previous = end
    places = []
    for number, row in enumerate(rows, last + 1):
        digest = _address_digest(row["address"], number)
        event = {**row, "number": number, "address_digest": digest}
        previous = _keyed(_content(event, previous))
        places.append([row["position"], number, digest, previous])
    db.session.execute(_APPEND, {"places": places})
    db.session.execute(_FORGET, {"places": places})
    db.session.execute(sa.update(AuditHead).values(number=last + len(rows), hash=previous))


def _head() -> AuditHead:
    return db.session.scalars(sa.select(AuditHead).execution_options(populate_existing=True)).one()


def _first_broken_link(head: AuditHead, *, vouched: int) -> int | None:
    previous, expected = "", 1
    for event in _all():
        content = _content(event, previous)
        if event["number"] != expected or not _fits(event, content, keyed=expected > vouched):
            return expected
        address = event["address"]
        if address and event["address_digest"] not in _address_digests(address, expected):
            return expected
        previous, expected = event["hash"], expected + 1
    return None if (head.number, head.hash) == (expected - 1, previous) else expected


def _vouched(head: AuditHead) -> int:
    """The number of the last event from before the chain had a key, as a migration sealed it."""
    if not head.vouched or head.voucher is None:
        return 0
    last = db.session.scalar(sa.select(AuditEvent.hash).where(AuditEvent.number == head.vouched))
    return head.vouched if head.voucher in _vouchers(head.vouched, last or "") else 0


def _vouchers(number: int, last: str) -> list[bytes]:
    return keys.macs("audit voucher", f"{number} {last}".encode())


def _fits(event: sa.RowMapping, content: bytes, *, keyed: bool) -> bool:
    if not keyed and event["hash"] == sha256(content).hexdigest():
        return True
    return any(event["hash"] == each.hex() for each in keys.macs("audit chain", content))


def _all() -> Iterator[sa.RowMapping]:
    in_order = sa.select(*AuditEvent.__table__.c).order_by(AuditEvent.number)
    # Closes the cursor on Postgres if reading stops at the first broken link.
    with db.session.execute(in_order.execution_options(yield_per=1000)) as events:
        yield from events.mappings()


def _keyed(content: bytes) -> str:
    return keys.mac("audit chain", content).hex()


def _content(event: Mapping[str, Any] | sa.RowMapping, previous: str) -> bytes:
    """The bytes an event's hash covers. Events from before ids existed have none here."""
    return _json(
        previous,
        event["number"],
        *([] if event["id"] is None else [str(event["id"])]),
        *_told(event),
        event["device"],
        event["address_digest"],
        event["details"],
    )


def _sealed_content(event: Mapping[str, Any]) -> bytes:
    told = _told(event)
    return _json(str(event["id"]), *told, event["device"], event["address"], event["details"])


def _told(event: Mapping[str, Any] | sa.RowMapping) -> tuple[str, ...]:
    at = event["at"].astimezone(UTC).isoformat()
    return at, event["action"], str(event["actor_id"]), str(event["subject_id"])


_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def _json(*values: object) -> bytes:
    return _JSON.encode(values).encode()


def _address_digest(address: str | None, number: int) -> str:
    """Keyed, and different for each event, so that clearing the address really erases it."""
    return _address_digests(address or "", number)[0]


def _address_digests(address: str, number: int) -> list[str]:
    return [each.hex() for each in keys.macs("audit address", f"{number} {address}".encode())]
