"""Bulk code generation: draws, digests and seals codes by the hundred thousand.

Keys and tables are prepared once; calling `codes.draw`, `lookup` and `seal` for each would take
longer than storing them.
"""

import hmac
import os
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa

from portal.db.types import new_id
from portal.domain.crypto import keys, sealing
from portal.domain.invitations import codes
from portal.domain.invitations.codes import ALPHABET, LENGTH
from portal.extensions import db
from portal.models import BatchRow, Invitation

DRAWN_BYTES = 7  # 56 bits, of which a code uses 55


class Minted(NamedTuple):
    """What a row stores about its code."""

    id: UUID
    lookup: bytes
    sealed: bytes
    hint: str


def mint(count: int) -> Iterator[Minted]:
    """Draw `count` new codes, each with the row id its seal is bound to."""
    keyed = hmac.new(keys.derive("invitation lookup"), digestmod="sha256")
    drawn = [(new_id(), code.encode()) for code in draw(count)]
    seals = sealing.seal_all([(code, row.bytes) for row, code in drawn], purpose=codes.SEAL)
    for (row, code), sealed in zip(drawn, seals, strict=True):
        mac = keyed.copy()
        mac.update(code)
        yield Minted(row, mac.digest(), sealed, code[-4:].decode())


def draw(count: int) -> Iterator[str]:
    """`count` codes, drawn like `codes.draw` does, two symbols at a time."""
    first, second, third, fourth, fifth, last = _tables()
    noise = os.urandom(DRAWN_BYTES * count)
    for start in range(0, len(noise), DRAWN_BYTES):
        bits = int.from_bytes(noise[start : start + DRAWN_BYTES])
        a, check_a = first[bits & 1023]
        b, check_b = second[bits >> 10 & 1023]
        c, check_c = third[bits >> 20 & 1023]
        d, check_d = fourth[bits >> 30 & 1023]
        e, check_e = fifth[bits >> 40 & 1023]
        f, check_f = last[bits >> 50 & 31]
        yield (
            a
            + b
            + c
            + d
            + e
            + f
            + ALPHABET[check_a ^ check_b ^ check_c ^ check_d ^ check_e ^ check_f]
        )


def draw_taken_codes_anew(batch_id: UUID) -> int:
    """Replace staged codes that are already taken or repeated; return how many.

    With 55 bits, collisions are rare, not impossible. Takes part in the transaction.
    """
    mine = BatchRow.batch_id == batch_id
    repeated = (
        sa.select(BatchRow.lookup).where(mine).group_by(BatchRow.lookup).having(sa.func.count() > 1)
    )
    taken = sa.or_(BatchRow.lookup.in_(sa.select(Invitation.lookup)), BatchRow.lookup.in_(repeated))
    rows = db.session.scalars(sa.select(BatchRow).where(mine, taken)).all()
    for row, new in zip(rows, mint(len(rows)), strict=True):
        row.id, row.lookup, row.sealed, row.hint = new
    return len(rows)


@cache
def _tables() -> list[list[tuple[str, int]]]:
    """For each position, its possible symbols with their share of the check symbol.

    The check symbol is a sum over GF(32), so a body's is the sum of its parts' shares.
    """
    pairs = ["".join(pair) for pair in product(ALPHABET, repeat=2)]
    places = [(start, pairs) for start in range(0, LENGTH - 2, 2)]
    return [
        [(part, _share(part, start)) for part in parts]
        for start, parts in [*places, (LENGTH - 2, list(ALPHABET))]
    ]


def _share(part: str, start: int) -> int:
    body = ("0" * start + part).ljust(LENGTH - 1, "0")
    return ALPHABET.index(codes.check_symbol(body))
