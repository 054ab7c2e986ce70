"""The unlock desk: lists lockouts and near misses, and lets people try again."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from portal.config import settings
from portal.domain.audit import audit, chain
from portal.domain.client import Origin
from portal.domain.crypto import keys
from portal.domain.errors import NotAllowed, NotFound
from portal.domain.lockout import lockout
from portal.domain.lockout import near_misses as guesses
from portal.domain.lockout.lockout import Kind
from portal.domain.lockout.near_misses import NearMiss
from portal.extensions import db
from portal.models import Account, AuditEvent, Role

REFUSALS = ("code.refused", "device.locked")


@dataclass(frozen=True)
class LockedDevice:
    """A locked-out device, its refused attempts (newest first) and its last address."""

    digest: str
    until: datetime
    refused_at: list[datetime]
    address_bucket: str
    near_misses: list[NearMiss]


@dataclass(frozen=True)
class SpentAddress:
    """An address with too many wrong guesses of some kinds, locked out for those only."""

    bucket: str
    until: datetime
    kinds: list[Kind]


def devices(*, by: Account, now: datetime) -> list[LockedDevice]:
    """The devices locked out now, newest first. Raises `NotAllowed`."""
    _require_may_unlock(by)
    ends = lockout.locked(now=now)
    since = now - timedelta(minutes=2 * settings.lockout_minutes)
    refusals = _refusals(list(ends), since)
    return [
        LockedDevice(
            digest=device,
            until=until,
            refused_at=[event.at for event in refusals[device] if event.action == REFUSALS[0]],
            address_bucket=_bucket(refusals[device]),
            near_misses=guesses.near_misses(device, since=since, now=now),
        )
        for device, until in ends.items()
    ]


def addresses(*, by: Account, now: datetime) -> list[SpentAddress]:
    """The addresses locked out now. Raises `NotAllowed`."""
    _require_may_unlock(by)
    found: dict[str, SpentAddress] = {}
    for kind in Kind:
        for bucket, until in lockout.spent(kind, now=now).items():
            known = found.get(bucket, SpentAddress(bucket, until, []))
            found[bucket] = SpentAddress(bucket, max(known.until, until), [*known.kinds, kind])
    return list(found.values())


def release_device(device_digest: str, *, by: Account, origin: Origin, now: datetime) -> None:
    """Unlock a device. Raises `NotAllowed`, and `NotFound` if it is not locked out."""
    _require_may_unlock(by)
    if device_digest not in lockout.locked(now=now):
        raise NotFound
    lockout.unlock(device_digest, now=now)
    audit.record(
        "device.unlocked", now=now, origin=origin, actor=by.id, released=device_digest[:16]
    )
    db.session.commit()


def release_address(address_bucket: str, *, by: Account, origin: Origin, now: datetime) -> None:
    """Clear an address's misses. Raises `NotAllowed`, and `NotFound` if it is not locked out."""
    _require_may_unlock(by)
    if not any(address_bucket in lockout.spent(kind, now=now) for kind in Kind):
        raise NotFound
    lockout.forgive(address_bucket, now=now)
    # The log keeps its details for ever, so it gets a pseudonym of the address instead.
    name = keys.mac("audit bucket", address_bucket.encode()).hex()[:16]
    audit.record("address.unlocked", now=now, origin=origin, actor=by.id, released=name)
    db.session.commit()


def _require_may_unlock(by: Account) -> None:
    if not by.may(Role.ADMIN):
        raise NotAllowed


def _refusals(devices: list[str], since: datetime) -> dict[str, list[AuditEvent]]:
    """Recent refused attempts of these devices, newest first."""
    chain.catch_up()
    found: dict[str, list[AuditEvent]] = {device: [] for device in devices}
    events = db.session.scalars(
        sa.select(AuditEvent)
        .where(
            AuditEvent.at >= since,
            AuditEvent.device.in_(devices),
            AuditEvent.action.in_(REFUSALS),
        )
        .order_by(AuditEvent.number.desc())
    )
    for event in events:
        if event.device:
            found[event.device].append(event)
    return found


def _bucket(refusals: list[AuditEvent]) -> str:
    addresses = (event.address for event in refusals if event.address)
    address = next(addresses, None)
    return Origin(device="", address=address).address_bucket if address else ""
