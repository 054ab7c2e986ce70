"""Near misses: wrong codes, kept sealed for two days, that are nearly right.

They are compared only when staff ask at the unlock desk; entering a code costs just one more row,
and the response reveals nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag

from portal.db.hot import Statement, Transaction
from portal.db.types import new_id
from portal.domain.client import Origin
from portal.domain.crypto import sealing
from portal.domain.invitations import codes
from portal.extensions import db
from portal.models import Invitation, RefusedGuess, Status

SYMBOLS = codes.ALPHABET + "U_.+!"  # of our codes, and of those that staff choose or import
MOST_COMPARED = 10  # guesses of one device

_SEAL = "guess seal"


@dataclass(frozen=True)
class NearMiss:
    """A guess one symbol away from a valid code."""

    at: datetime
    invitation: Invitation


def keep(code: str, *, origin: Origin, now: datetime, tx: Transaction) -> None:
    """Store a wrong code that could be a typo. Takes part in the transaction.

    Nothing is stored without a device, since the desk shows guesses by locked-out device.
    """
    if not origin.device:
        return
    form = codes.canonical(code)
    if not codes.SHORTEST_OWN - 1 <= len(form) <= codes.LONGEST_OWN + 1 or not form.isascii():
        return
    row = new_id()
    sealed = sealing.seal(form.encode(), purpose=_SEAL, row=row.bytes)
    tx.rows(_KEEP, {"id": row, "device": origin.device_digest, "at": now, "sealed": sealed})


_KEEP = Statement(sa.insert(RefusedGuess))


def near_misses(device_digest: str, *, since: datetime, now: datetime) -> list[NearMiss]:
    """The device's guesses that are one symbol away from a code that is open now."""
    guesses = db.session.scalars(
        sa.select(RefusedGuess)
        .where(RefusedGuess.device == device_digest, RefusedGuess.at >= since)
        .order_by(RefusedGuess.at.desc())
        .limit(MOST_COMPARED)
    )
    return [
        NearMiss(guess.at, invitation)
        for guess in guesses.all()
        for invitation in _open_among(neighbours(_unseal(guess)), now)
    ]


def neighbours(code: str) -> Iterator[str]:
    """Every code reached by changing, inserting or deleting one symbol."""
    for place in range(len(code) + 1):
        before, after = code[:place], code[place:]
        for symbol in SYMBOLS:
            yield before + symbol + after
            if after:
                yield before + symbol + after[1:]
        if after:
            yield before + after[1:]


def _open_among(candidates: Iterable[str], now: datetime) -> Iterable[Invitation]:
    lookups = {lookup for candidate in candidates for lookup in codes.lookups(candidate)}
    return db.session.scalars(
        sa.select(Invitation).where(
            Invitation.lookup.in_(lookups), Invitation.status_at(now) == Status.ACTIVE
        )
    ).all()


def _unseal(guess: RefusedGuess) -> str:
    """The guess again; nothing if it was sealed with a key that is not here any more."""
    try:
        return sealing.unseal(guess.sealed, purpose=_SEAL, row=guess.id.bytes).decode()
    except InvalidTag:
        return ""
