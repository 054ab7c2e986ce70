"""The chain of the audit log: each event is linked to the one before it by a keyed hash.

A verb commits its events unlinked, each under a seal of its own; `link` gives them their places at
the end of the chain, many at once. Were each verb to do so itself, it would hold the end of the
chain until it is committed, and all others would wait for it. Whoever owns the database can cut off
what is last, linked or not, but forge nothing.
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
    """Where the chain ends. Noted elsewhere, it shows later that nothing was cut off."""

    number: int
    hash: str


def seal(event: Mapping[str, Any]) -> bytes:
    """The keyed digest (32 bytes) of an event that is not linked yet, by its columns."""
    return keys.mac("audit seal", _sealed_content(event))


def link() -> None:
    """Link the events there are. Takes part in the caller's transaction; others who link wait."""
    for _ in _links():
        pass


def catch_up() -> int:
    """`link` before the log is read, and commit; nothing else may be under way.

    Returns how many events stand there that the portal never recorded, or has linked already:
    somebody who has the database but not the key put them there. They are not linked.
    """
    refused = 0
    for unfit in _links():
        db.session.commit()
        refused += unfit
    db.session.commit()
    return refused


def is_linked() -> bool:
    """Whether `catch_up` would find nothing to look at."""
    return not _is_any_beyond(0)


def end() -> End:
    """Where the chain ends by now."""
    catch_up()
    head = _head()
    return End(head.number, head.hash)


def leads_through(number: int, hash: str) -> bool:
    """Whether event `number` has that hash: a chain that was cut off and grown again has not."""
    found = sa.select(AuditEvent.hash).where(AuditEvent.number == number)
    return db.session.scalar(found) == hash


def first_broken_link() -> int | None:
    """The number of the first event that was changed, or after which one is missing; None if whole.

    An address may have been erased (retention); one that is still there must fit its digest. Events
    that cannot be linked break the chain where it ends.
    """
    refused = catch_up()
    head = _head()
    broken = _first_broken_link(head, vouched=_vouched(head))
    return head.number + 1 if broken is None and refused else broken


def vouch() -> tuple[int | None, int]:
    """Accept the events so far that have no key. Takes part in the caller's transaction.

    Returns the first broken link, which nobody can vouch for (None: the chain is whole from now
    on), and how many events there are.
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
# An update even where nothing changes: it locks on both engines.
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
    """The elements of an array of JSON, each in a row's column `value`."""

    inherit_cache = True


@compiles(_each_of, "sqlite")
def _each_in_sqlite(element: _each_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_each_of, "postgresql")
def _each_in_postgres(element: _each_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements({compiler.process(element.clauses, **options)})"


def _places() -> Sequence[sa.ColumnElement[Any]]:
    """The position, the number, the address' digest and the hash of each event in `places`.

    That parameter is an array of such arrays.
    """
    each = _each_of(sa.bindparam("places", type_=sa.JSON))
    place = each.table_valued(sa.column("value", sa.JSON)).c.value
    position, number, digest, keyed = (place[index].as_string() for index in range(4))
    return sa.cast(position, sa.BigInteger), sa.cast(number, sa.BigInteger), digest, keyed


def _appending() -> sa.Insert:
    """Copies events from where they were recorded: cheaper than to insert what was read."""
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
    """Link some, and say how many of those looked at were refused; again, until all were."""
    last = 0
    while _is_any_beyond(last):
        number, previous = db.session.execute(_LOCK).one()
        rows = [dict(row) for row in db.session.execute(_NEXT, {"last": last}).mappings()]
        if not rows:  # somebody else has linked them meanwhile
            return
        fit = _fit(rows)
        _append(fit, End(number, previous))
        last = rows[-1]["position"]
        yield len(rows) - len(fit)


def _is_any_beyond(last: int) -> bool:
    return bool(db.session.scalar(_IS_ANY, {"last": last}))


def _fit(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that the portal recorded, and has not linked before."""
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
    """Up to where the chain may be of the time before it had a key: as the migration sealed it."""
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
    # Reading may stop at the first broken link; Postgres would keep its cursor open.
    with db.session.execute(in_order.execution_options(yield_per=1000)) as events:
        yield from events.mappings()


def _keyed(content: bytes) -> str:
    return keys.mac("audit chain", content).hex()


def _content(event: Mapping[str, Any] | sa.RowMapping, previous: str) -> bytes:
    """What the hash of an event covers. Those of the time before events had ids have none here."""
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
    """Keyed, and different for each event: erasing the address really erases it."""
    return _address_digests(address or "", number)[0]


def _address_digests(address: str, number: int) -> list[str]:
    return [each.hex() for each in keys.macs("audit address", f"{number} {address}".encode())]
