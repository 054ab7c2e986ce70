"""Two-factor authentication (2FA): what a sign-in needs besides the password.

Either an authenticator app (TOTP, RFC 6238) or a passkey (`passkeys.py`). Ten single-use recovery
codes stand in for a lost phone.
"""

import secrets
import unicodedata
from datetime import datetime
from hmac import compare_digest
from uuid import UUID

import pyotp
import sqlalchemy as sa

from portal.config import settings
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.crypto import keys, sealing
from portal.domain.errors import NotAllowed, SecondFactorDue, SecondFactorRefused
from portal.domain.invitations import codes
from portal.domain.mail import outbox
from portal.extensions import db
from portal.models import Account, Installation, Passkey, RecoveryCode, Role

STEP = 30  # seconds a TOTP code is valid
RECOVERY_CODES = 10
RECOVERY_LENGTH = 10  # letters, 5 bits each
_SEAL = "totp secret"


def are_set_up(account: Account, *, has_passkey: bool | None = None) -> bool:
    """Whether the account uses 2FA; pass `has_passkey` if it is known, to save a query."""
    if account.totp_confirmed_at is not None:
        return True
    return _has_passkey(account) if has_passkey is None else has_passkey


# `are_due` as a SQL condition.
DUE = sa.and_(
    Account.totp_confirmed_at.is_(None),
    Account.role != Role.MEMBER,
    sa.select(Installation.second_factor_required).scalar_subquery(),
    ~sa.exists().where(Passkey.account_id == Account.id),
)


def are_due(account: Account) -> bool:
    """Whether this is staff required to set up 2FA who has not done so yet."""
    if account.totp_confirmed_at is not None or not account.role.is_staff:
        return False
    return is_required() and not _has_passkey(account)


def is_required() -> bool:
    """Whether all staff must use 2FA."""
    return db.session.scalars(sa.select(Installation.second_factor_required)).one()


def require_of_staff(required: bool, *, by: Account, origin: Origin, now: datetime) -> None:
    """Set whether all staff must use 2FA.

    Raises `NotAllowed`, and `SecondFactorDue` for an owner who does not use it themselves.
    """
    if not by.may(Role.OWNER):
        raise NotAllowed
    if required and not are_set_up(by):
        raise SecondFactorDue("Set up a second step for yourself first.")
    db.session.execute(sa.update(Installation).values(second_factor_required=required))
    audit.record(
        "second_factor.required" if required else "second_factor.not_required",
        now=now,
        origin=origin,
        actor=by.id,
    )
    db.session.commit()


def begin_totp(account: Account) -> None:
    """Draw a new TOTP secret, which stays inactive until a code confirms it.

    Raises `NotAllowed` if there is a confirmed one, which must be removed first.
    """
    sealed = sealing.seal(pyotp.random_base32().encode(), purpose=_SEAL, row=account.id.bytes)
    _change_totp(account, totp_sealed=sealed, totp_last_step=None)
    db.session.commit()


def pending_totp(account: Account) -> pyotp.TOTP | None:
    """The TOTP secret to show in the app, until a code has confirmed it."""
    if account.totp_sealed is None or account.totp_confirmed_at is not None:
        return None
    return _totp(account)


def confirm_totp(account: Account, code: str, *, origin: Origin, now: datetime) -> list[str]:
    """Activate the authenticator app; return the recovery codes, if they are new.

    Raises `SecondFactorRefused` for a wrong code.
    """
    pending = pending_totp(account)
    step = _step_of(code, pending, now) if pending else None
    if step is None:
        raise SecondFactorRefused("This code is not right. Is the clock of your phone?")
    _change_totp(account, totp_confirmed_at=now, totp_last_step=step)
    return added(account, "second_factor.app_added", origin=origin, now=now)


def remove_totp(account: Account, *, origin: Origin, now: datetime) -> None:
    """Remove the authenticator app, if there is one."""
    if account.totp_confirmed_at is None:
        return
    _forget_totp(account)
    removed(account, "second_factor.app_removed", origin=origin, now=now)


def remove_all(person: Account, *, by: Account, origin: Origin, now: datetime) -> None:
    """Remove all second factors of somebody who lost them; only for owners.

    The password alone is enough again. Raises `NotAllowed`.
    """
    if not by.may(Role.OWNER) or by.id == person.id:
        raise NotAllowed
    _forget_totp(person)
    for table in (Passkey, RecoveryCode):
        db.session.execute(sa.delete(table).where(table.account_id == person.id))
    _record(person, "second_factor.all_removed", by, origin, now)


def added(account: Account, action: str, *, origin: Origin, now: datetime) -> list[str]:
    """Record a new second factor; return the recovery codes created with the first one."""
    db.session.flush()
    drawn = [] if _has_recovery_codes(account) else _draw_recovery_codes(account)
    _record(account, action, account, origin, now)
    return drawn


def removed(account: Account, action: str, *, origin: Origin, now: datetime) -> None:
    """Record a removal; the recovery codes go with the last second factor."""
    db.session.flush()
    if not are_set_up(account):
        _forget_recovery_codes(account)
    _record(account, action, account, origin, now)


def renew_recovery_codes(account: Account, *, origin: Origin, now: datetime) -> list[str]:
    """Ten new recovery codes, returned only once; earlier ones become invalid.

    Raises `NotAllowed` without a second factor.
    """
    if not are_set_up(account):
        raise NotAllowed
    _forget_recovery_codes(account)
    drawn = _draw_recovery_codes(account)
    _record(account, "second_factor.codes_renewed", account, origin, now)
    return drawn


def recovery_codes_left(account: Account) -> int:
    """How many unused recovery codes remain."""
    left = sa.select(sa.func.count()).select_from(RecoveryCode)
    left = left.where(RecoveryCode.account_id == account.id, RecoveryCode.used_at.is_(None))
    return db.session.scalars(left).one()


def use(account: Account, code: str, *, now: datetime) -> None:
    """Use up a TOTP or recovery code. Takes part in the caller's transaction.

    Raises `SecondFactorRefused`, for a used code as for a wrong one.
    """
    if not _use_totp(account, code, now) and not _use_recovery_code(account, code, now):
        raise SecondFactorRefused


def name_of_tries(account: Account) -> str:
    """The name under which attempts at this account's second factor are counted."""
    return f"second step {account.id}"


def _has_passkey(account: Account) -> bool:
    found = sa.exists().where(Passkey.account_id == account.id)
    return bool(db.session.scalar(sa.select(found)))


def _has_recovery_codes(account: Account) -> bool:
    found = sa.exists().where(RecoveryCode.account_id == account.id)
    return bool(db.session.scalar(sa.select(found)))


def _change_totp(account: Account, **values: object) -> None:
    """Change an unconfirmed secret only; a confirmed one can only be removed."""
    changed = db.session.execute(
        sa.update(Account)
        .where(Account.id == account.id, Account.totp_confirmed_at.is_(None))
        .values(**values)
        .returning(Account.id)
    ).first()
    if changed is None:
        raise NotAllowed("There is an app already. Remove it first.")
    db.session.refresh(account)


def _forget_totp(account: Account) -> None:
    account.totp_sealed = account.totp_confirmed_at = account.totp_last_step = None


def _totp(account: Account) -> pyotp.TOTP:
    assert account.totp_sealed is not None  # noqa: S101 - the callers looked
    secret = sealing.unseal(account.totp_sealed, purpose=_SEAL, row=account.id.bytes)
    return pyotp.TOTP(secret.decode(), interval=STEP, name=account.email, issuer=settings.site_name)


def _step_of(code: str, totp: pyotp.TOTP, now: datetime) -> int | None:
    """The time step this code belongs to: the current one, or a neighbour, as clocks differ."""
    shown = "".join(unicodedata.normalize("NFKC", code[:32]).split())
    current = int(now.timestamp()) // STEP
    for step in (current, current - 1, current + 1):
        if compare_digest(totp.generate_otp(step).encode(), shown.encode()):
            return step
    return None


def _use_totp(account: Account, code: str, now: datetime) -> bool:
    if account.totp_sealed is None or account.totp_confirmed_at is None:
        return False
    step = _step_of(code, _totp(account), now)
    if step is None:
        return False
    # Each time step can be used once, so a shoulder surfer comes too late.
    used = db.session.execute(
        sa.update(Account)
        .where(
            Account.id == account.id,
            sa.or_(Account.totp_last_step.is_(None), Account.totp_last_step < step),
        )
        .values(totp_last_step=step)
        .returning(Account.id)
        .execution_options(synchronize_session=False)
    ).first()
    return used is not None


def _use_recovery_code(account: Account, code: str, now: datetime) -> bool:
    used = db.session.execute(
        sa.update(RecoveryCode)
        .where(
            RecoveryCode.account_id == account.id,
            RecoveryCode.digest.in_(_recovery_digests(account.id, code)),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now)
        .returning(RecoveryCode.id)
        .execution_options(synchronize_session=False)
    ).first()
    return used is not None


def _draw_recovery_codes(account: Account) -> list[str]:
    drawn = [
        "".join(secrets.choice(codes.ALPHABET) for _ in range(RECOVERY_LENGTH))
        for _ in range(RECOVERY_CODES)
    ]
    db.session.add_all(
        RecoveryCode(account_id=account.id, digest=_recovery_digests(account.id, code)[0])
        for code in drawn
    )
    return [f"{code[:5]}-{code[5:]}" for code in drawn]


def _forget_recovery_codes(account: Account) -> None:
    db.session.execute(sa.delete(RecoveryCode).where(RecoveryCode.account_id == account.id))


def _recovery_digests(account: UUID, code: str) -> list[bytes]:
    """The digest under each key. Codes are short: a stolen database must not reveal them."""
    text = f"{account} {codes.canonical(code)}".encode()
    return keys.macs("recovery code", text)


def _record(account: Account, action: str, by: Account, origin: Origin, now: datetime) -> None:
    """Record a change and notify the account by the mail named after the action."""
    outbox.queue(action.replace(".", "_"), to=account.email, about=account.id, now=now)
    audit.record(action, now=now, origin=origin, actor=by.id, subject=account.id)
    db.session.commit()
