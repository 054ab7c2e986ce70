"""Exports: all invitations that match a search, as CSV or XLSX, streamed row by row.

Cells that a spreadsheet would evaluate are neutralised (`formulas.py`). The columns about the
invitee can be imported again.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from io import StringIO
from itertools import chain
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from portal.domain.audit import audit
from portal.domain.batches import batches
from portal.domain.client import Origin
from portal.domain.errors import NotAllowed
from portal.domain.exports import xlsx
from portal.domain.exports.formulas import SIGNS, neutralise
from portal.domain.invitations import codes, listing
from portal.domain.invitations.listing import Query
from portal.extensions import db
from portal.models import Account, Batch, Invitation, Role

ROWS_A_PIECE = 1_000
BOM = b"\xef\xbb\xbf"  # without it Excel reads UTF-8 as Latin-1
HEADINGS = (
    *("e-mail", "name", "label", "issued by", "batch"),
    *("uses", "expires (UTC)", "language", "state", "used", "opens (UTC)", "issued (UTC)"),
    *("mailed (UTC)", "link opened (UTC)", "revoked (UTC)", "code ends in"),
)
TEXTS = 5  # leading columns with text written by people


class Format(StrEnum):
    """The format of an export."""

    CSV = "csv"
    XLSX = "xlsx"

    @property
    def mimetype(self) -> str:
        """The registered media type (RFC 7111, ECMA-376)."""
        if self is Format.CSV:
            return "text/csv; charset=utf-8"
        return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which invitations to export, in which order, and whether with codes.

    `ids` restricts the query to these. All staff may export every invitation, but the code is
    withheld where the exporting account may not act on it.
    """

    query: Query
    ids: tuple[UUID, ...] = ()
    with_codes: bool = False


def export(
    wanted: Wanted, format: Format, *, by: Account | None, origin: Origin, now: datetime
) -> Iterator[bytes]:
    """The file, in chunks. Audited before the first; `by` is None for the command line.

    Raises `NotAllowed` (also if every code would be withheld), and `NotFound` for another's batch.
    """
    _require_may_export(wanted, by)
    without_code = withheld(wanted, by=by, now=now) if by and wanted.with_codes else 0
    if without_code and without_code == count(wanted, by=by, now=now):
        raise NotAllowed("You may read none of these codes. Export them without.")
    audit.record(
        "history.exported",
        now=now,
        origin=origin,
        actor=by.id if by else None,
        subject=wanted.query.batch,
        codes=wanted.with_codes,
        chosen=len(wanted.ids),
        format=format,
    )
    db.session.commit()
    heading = (*HEADINGS, "code") if wanted.with_codes else HEADINGS
    chunks = _chunks(wanted, by, now)
    if format is Format.CSV:
        return _csv(heading, chunks)
    return xlsx.pieces(heading, chain.from_iterable(chunks))


def count(wanted: Wanted, *, by: Account | None, now: datetime) -> int:
    """How many invitations `export` would contain; raises as it does."""
    _require_may_export(wanted, by)
    return _count(sa.select(Invitation.id), wanted, now)


def withheld(wanted: Wanted, *, by: Account, now: datetime) -> int:
    """How many codes would be withheld from `by` (see `Wanted`); raises as `export` does."""
    _require_may_export(wanted, by)
    beyond = sa.not_(Invitation.within_reach_of(by))
    return _count(sa.select(Invitation.id).where(beyond), wanted, now)


def _count(statement: sa.Select[Any], wanted: Wanted, now: datetime) -> int:
    found = _narrowed(statement, wanted, now).order_by(None).subquery()
    return db.session.scalar(sa.select(sa.func.count()).select_from(found)) or 0


def _require_may_export(wanted: Wanted, by: Account | None) -> None:
    if by is None:
        if wanted.with_codes:
            raise NotAllowed
        return
    if not by.may(Role.ADMIN if wanted.with_codes else Role.VIEWER):
        raise NotAllowed
    if wanted.query.batch:
        batches.get(wanted.query.batch, by=by)


def _narrowed(statement: sa.Select[Any], wanted: Wanted, now: datetime) -> sa.Select[Any]:
    narrowed = listing.narrowed(statement, wanted.query, now=now)
    return narrowed.where(Invitation.id.in_(wanted.ids)) if wanted.ids else narrowed


def _chunks(wanted: Wanted, by: Account | None, now: datetime) -> Iterator[list[Sequence[Any]]]:
    """The rows, in chunks."""
    columns = _columns(now)
    if wanted.with_codes and by:
        columns += [sa.case((Invitation.within_reach_of(by), Invitation.sealed)), Invitation.id]
    statement = _narrowed(sa.select(*columns), wanted, now).join(Invitation.created_by)
    statement = statement.outerjoin(Invitation.batch).execution_options(yield_per=ROWS_A_PIECE)
    # Bypasses the ORM, which would do work for each row.
    with db.session.connection().execute(statement) as found:
        for some in found.partitions():
            rows = [row if _is_harmless(row) else _neutralised(row) for row in some]
            yield [_opened(row) for row in rows] if wanted.with_codes else rows


def _is_harmless(row: Sequence[Any]) -> bool:
    """Whether no cell resembles a formula, as in nearly all of a million rows."""
    email, name, label, issuer, batch = row[:TEXTS]
    return not (
        (email and email[0] in SIGNS)
        or (name and name[0] in SIGNS)
        or (label and label[0] in SIGNS)
        or (issuer and issuer[0] in SIGNS)
        or (batch and batch[0] in SIGNS)
    )


def _neutralised(row: Sequence[Any]) -> Sequence[Any]:
    return [*(neutralise(text or "") for text in row[:TEXTS]), *row[TEXTS:]]


def _opened(row: Sequence[Any]) -> Sequence[Any]:
    """The row with its code ("" if withheld) in place of the seal and its row id."""
    *cells, sealed, bound_to = row
    code = codes.grouped(codes.unseal(sealed, bound_to)) if sealed else ""
    return [*cells, neutralise(code)]


def _columns(now: datetime) -> list[Any]:
    """The columns as shown: the database formats times faster than Python."""
    return [
        Invitation.recipient,
        Invitation.recipient_name,
        Invitation.label,
        Account.username,
        Batch.name,
        sa.func.coalesce(sa.cast(Invitation.max_uses, sa.String), "unlimited"),
        sa.func.coalesce(_written(Invitation.expires_at), "never"),
        Invitation.language,
        Invitation.status_at(now),
        Invitation.uses,
        *map(
            _written,
            (
                Invitation.starts_at,
                Invitation.created_at,
                Invitation.mailed_at,
                Invitation.opened_at,
                Invitation.revoked_at,
            ),
        ),
        Invitation.hint,
    ]


def _written(moment: Any) -> sa.ColumnElement[str]:
    """A time in UTC, in the format spreadsheets parse."""
    if db.engine.dialect.name == "postgresql":
        in_utc = sa.func.timezone("UTC", moment)
        return sa.func.to_char(in_utc, "YYYY-MM-DD HH24:MI:SS", type_=sa.String)
    return sa.func.substr(sa.type_coerce(moment, sa.String), 1, 19, type_=sa.String)


def _csv(heading: Iterable[str], chunks: Iterable[list[Sequence[Any]]]) -> Iterator[bytes]:
    """CSV by RFC 4180."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(heading)
    yield BOM
    for rows in chunks:
        writer.writerows(rows)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()
