"""The portal with exactly one guard replaced by its naive version; `UNGUARDED` names which.

Only the negative controls serve this module: a race test is worth something if the same attack
breaks the promise here. Each naive version pauses between its look and its write, to make sure.
"""

import os
import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from sqlalchemy.orm import joinedload

from portal.clock import utcnow
from portal.db import engine
from portal.db.hot import Transaction
from portal.domain.accounts import (
    accounts,
    admin,
    credentials,
    deletion,
    password_check,
    passwords,
    reauthentication,
    sessions,
    two_factor,
    verification,
)
from portal.domain.audit import audit, chain
from portal.domain.client import Origin
from portal.domain.errors import (
    AccountTaken,
    InvitationRevoked,
    InvitationUsed,
    LockedOut,
    SignedInElsewhere,
    SignInRequired,
)
from portal.domain.imports import preview
from portal.domain.invitations import invitations, lookup, redemptions
from portal.domain.lockout import lockout
from portal.domain.lockout.counters import counting
from portal.domain.mail import outbox, resend
from portal.domain.tokens import mobile, refresh
from portal.extensions import db
from portal.models import (
    Account,
    AuditHead,
    Installation,
    Invitation,
    Mail,
    MailState,
    Purpose,
    Redemption,
    RefreshToken,
    Session,
    Verification,
)

PAUSE = 0.1  # seconds: longer than a password takes to hash on a busy machine


def tries_counted_afterwards() -> None:
    """Look whether a try is left, evaluate, then count."""
    fail = lockout.fail

    def reserve(origin: Origin, *, now: datetime, tx: Transaction) -> None:
        lockout.require_unlocked(origin, now=now)
        if not counting(now, tx).test(lockout._limits().tries, origin.device_digest):
            raise LockedOut(now)
        time.sleep(PAUSE)

    def count_and_fail(origin: Origin, *, now: datetime, tx: Transaction) -> int:
        counting(now, tx).hit(lockout._limits().tries, origin.device_digest)
        return fail(origin, now=now, tx=tx)

    lockout.reserve = reserve
    lockout.fail = count_and_fail
    _look_only_first()


def misses_not_reserved() -> None:
    """Look at the budget of the address without making others at this address wait."""

    def reserve(origin: Origin, *, now: datetime, tx: Transaction) -> None:
        lockout.require_unlocked(origin, now=now)
        time.sleep(PAUSE)
        counting(now, tx).hit(lockout._limits().tries, origin.device_digest)

    lockout.reserve = reserve
    _look_only_first()


def tries_in_memory() -> None:
    """Count where a restart forgets."""

    class Forgetful(MemoryStorage):
        def incr_together(self, *counts: tuple[str, int, int]) -> list[int]:
            return [self.incr(*count) for count in counts]

    forgetful = Forgetful()
    lockout.CounterStorage = lambda *_: forgetful
    lockout.counting = lambda *_: FixedWindowRateLimiter(forgetful)


def uses_read_then_written() -> None:
    """Look whether a use is left, then write down one more than was seen."""

    def take(
        invitation: UUID, origin: Origin, now: datetime, tx: Transaction, **who: Any
    ) -> Redemption:
        tx.commit()
        seen = redemptions._as_it_is(invitation, tx)
        if seen.uses_left == 0:
            raise InvitationUsed
        time.sleep(PAUSE)
        _update(invitation, uses=seen.uses + 1)
        return _write_down(invitation, origin, now)

    redemptions._take_a_use = take


def revocation_read_once() -> None:
    """Trust what the look-up said about revocation."""

    def take(
        invitation: UUID, origin: Origin, now: datetime, tx: Transaction, **who: Any
    ) -> Redemption:
        tx.commit()
        time.sleep(PAUSE)
        _update(invitation, uses=Invitation.uses + 1)
        return _write_down(invitation, origin, now)

    redemptions._take_a_use = take


def return_read_once() -> None:
    """Let a device back in by what the look-up said."""
    open_for_redemption = sessions.open_for_redemption

    def open_late(*values: Any, **where: Any) -> Session:
        _let_go()
        time.sleep(PAUSE)
        return open_for_redemption(*values, **where)

    sessions.open_for_redemption = open_late


def submits_side_by_side() -> None:
    """Let the submits of one device pass each other between look-up and use."""
    take = redemptions._take_a_use

    def take_late(*values: Any, **who: Any) -> Redemption:
        _let_go()
        time.sleep(PAUSE)
        return take(*values, **who)

    redemptions._take_a_use = take_late


def chain_end_read_first() -> None:
    """Read where the chain ends, and link behind that."""
    append = chain._append

    def append_late(*values: Any) -> None:
        time.sleep(PAUSE)
        append(*values)

    chain._LOCK = sa.select(AuditHead.number, AuditHead.hash)
    chain._append = append_late


def owner_read_then_written() -> None:
    """Look whether there is an owner, then become one."""

    def claim(now: datetime) -> bool:
        owned = db.session.scalars(sa.select(Installation.owned_since)).one()
        time.sleep(PAUSE)
        db.session.execute(sa.update(Installation).values(owned_since=now))
        return owned is None

    accounts._claim_ownership = claim


def email_read_then_written() -> None:
    """Look whether the address is taken, then take it; the database's rule is dropped as well."""
    new_account = accounts.new

    def look_first(*values: Any) -> Account:
        account = new_account(*values)
        if accounts.find(account.email):
            raise AccountTaken
        time.sleep(PAUSE)
        return account

    accounts.new = look_first


def owners_counted_first() -> None:
    """Look whether another owner is there, then go on; nobody waits for anybody."""
    require_another_owner = deletion.require_another_owner

    def count(person: Account) -> None:
        require_another_owner(person)
        time.sleep(PAUSE)

    for module in (deletion, admin):
        module.wait_for_ownership = lambda *_: None
        module.require_another_owner = count


def issuer_looked_at_first() -> None:
    """Look whether the issuer of a staff code may grant its role, then register."""
    enlist, require = redemptions.enlist, redemptions._require_still_granted

    def look(code: str, account: Account, *, origin: Origin, now: datetime, **also: Any) -> None:
        offer = lookup.look_up(code, origin=origin, now=now).offer
        if offer is not None:
            require(offer)
        _let_go()
        enlist(code, account, origin=origin, now=now, **also)

    redemptions.enlist = look
    redemptions.require_known = lambda *_, **__: None  # on SQLite it would wait for the demotion
    redemptions._require_still_granted = lambda _: None


def password_read_once() -> None:
    """Let in whoever's password fitted when it was looked at, whatever was changed since."""

    def hold(account: Account, _password: str, replacement: str | None) -> bool:
        # Whoever sets a new one hashes it meanwhile: some have to hold for longer.
        time.sleep(random.uniform(PAUSE, 10 * PAUSE))
        if replacement is not None:
            account.password_hash = passwords.hashed(replacement)
        return True

    password_check._hold = hold


def guesses_counted_afterwards() -> None:
    """Look whether a try is left within the session, evaluate, then count."""

    def require_password(
        account: Account,
        password: str,
        *,
        session: Session,
        origin: Origin,
        now: datetime,
        **_: Any,
    ) -> None:
        name = reauthentication.name_of_tries(account)
        attempt = lockout.SignIn(name, origin, device_is_known=False)
        if attempt.is_spent(now=now):
            raise LockedOut(now)
        _let_go()
        time.sleep(PAUSE)
        try:
            password_check.evaluate(attempt, account, password, now)
        finally:
            attempt.reserve(now=now)

    reauthentication.require_password = require_password


def revocation_looked_up_first() -> None:
    """Look whether an invitation was revoked, then revoke it, or extend it."""

    def revoke(invitation: Invitation, *, by: Account, origin: Origin, now: datetime, **_: Any):
        if invitation.revoked_at is None:
            time.sleep(PAUSE)
            _update(invitation.id, revoked_at=now)
            _record("invitation.revoked", invitation, by, origin, now)
        return 0

    def extend(
        invitation: Invitation, *, expires_at: datetime, by: Account, origin: Origin, now: datetime
    ) -> Invitation:
        if invitation.revoked_at is not None:
            raise InvitationRevoked
        time.sleep(2 * PAUSE)
        _update(invitation.id, expires_at=expires_at)
        _record("invitation.extended", invitation, by, origin, now)
        return invitation

    invitations.revoke, invitations.extend = revoke, extend


def step_read_then_written() -> None:
    """Look whether a code of the app was used before, then write it down as used."""

    def use(account: Account, code: str, now: datetime) -> bool:
        step = two_factor._step_of(code, two_factor._totp(account), now)
        if step is None or (account.totp_last_step or 0) >= step:
            return False
        time.sleep(PAUSE)
        account.totp_last_step = step
        return True

    two_factor._use_totp = use


def code_read_then_used() -> None:
    """Look for the code, then mark it used."""

    def use(now: datetime, *conditions: sa.ColumnElement[bool]) -> Verification | None:
        _let_go()
        found = db.session.scalars(
            sa.select(Verification)
            .where(*conditions, Verification.used_at.is_(None))
            .options(joinedload(Verification.account))
        ).first()
        time.sleep(PAUSE)
        if found is not None:
            found.used_at = now
        return found

    verification._use = use


def address_asked_for_last() -> None:
    """Let a link confirm the address the account asked for last."""
    take = credentials._take

    def take_last(used: Verification, origin: Origin, now: datetime) -> None:
        _let_go()
        time.sleep(5 * PAUSE)
        last = sa.select(Verification.email).where(
            Verification.account_id == used.account_id,
            Verification.purpose == Purpose.NEW_EMAIL,
        )
        used.email = db.session.scalars(last.order_by(Verification.id.desc())).first()
        take(used, origin, now)

    credentials._take = take_last


def mails_not_leased() -> None:
    """Take whatever is due, without a look at who else has taken it."""

    def due(now: datetime) -> list[sa.ColumnElement[bool]]:
        return [Mail.state == MailState.WAITING, Mail.due_at <= now]

    outbox._fresh = due


def room_looked_for_first() -> None:
    """Look whether a mailbox may get one more mail, without making others wait."""
    require_room = resend._require_room

    def look(*values: Any) -> None:
        require_room(*values)
        time.sleep(PAUSE)

    resend.take_turns = lambda: None
    resend._require_room = look


def device_looked_for_first() -> None:
    """Look whether another device is signed in, then sign in; the table's rule is dropped too."""
    living_in = sessions.living_in

    def make_room(account: Account, _origin: Origin, now: datetime) -> None:
        _let_go()
        living = living_in(mobile.DIALECT, account.id, now=now)
        _let_go()
        time.sleep(5 * PAUSE)
        if living is not None:
            raise SignedInElsewhere

    mobile._make_room = make_room


def refresh_token_read_then_used() -> None:
    """Look whether a refresh token was used, then mark it."""

    def redeem(session: Session, secret: str, *, origin: Origin, now: datetime) -> str:
        _let_go()
        found = db.session.scalars(
            sa.select(RefreshToken).where(
                RefreshToken.digest == refresh._digest(secret), RefreshToken.used_at.is_(None)
            )
        ).first()
        time.sleep(PAUSE)
        if found is None:
            raise SignInRequired
        found.used_at = now
        return refresh.begin(session, now=now)

    refresh.redeem = redeem


def invited_looked_for_first() -> None:
    """Look who is invited already, then confirm; nobody waits for anybody."""
    claim, mark_invited = preview._claim, preview._mark_invited

    def look_then_claim(batch_id: UUID) -> bool:
        mark_invited(batch_id, utcnow())
        _let_go()
        time.sleep(PAUSE)
        return claim(batch_id)

    preview._claim = look_then_claim
    preview._mark_invited = lambda *_: None


def transactions_begin_by_reading() -> None:
    """Begin a transaction of SQLite at the first statement, in its own default mode."""

    def begin(_connection: Any, cursor: Any, *_: Any) -> None:
        if not cursor.connection.in_transaction:
            cursor.execute("BEGIN DEFERRED")

    engine._begin_at_the_first_write = begin


def _look_only_first() -> None:
    """Forget what is found about the wait behind the counter's row."""
    look_up = lookup.look_up

    def look(*values: Any, **where: Any) -> lookup.Look:
        return look_up(*values, **where)._replace(end_of_wait=None)

    lookup.look_up = look


def _let_go() -> None:
    """Commit the reserved try: its lock (on SQLite, everybody's) would stand in for the guard."""
    db.session.commit()


def _update(invitation: UUID, **values: Any) -> None:
    db.session.execute(
        sa.update(Invitation)
        .where(Invitation.id == invitation)
        .values(**values)
        .execution_options(synchronize_session=False)
    )


def _record(
    action: str, invitation: Invitation, by: Account, origin: Origin, now: datetime
) -> None:
    audit.record(action, now=now, origin=origin, actor=by.id, subject=invitation.id)
    db.session.commit()


def _write_down(invitation: UUID, origin: Origin, now: datetime) -> Redemption:
    redemption = Redemption(invitation_id=invitation, device=origin.device_digest, at=now)
    db.session.add(redemption)
    db.session.flush()
    audit.record("invitation.redeemed", now=now, origin=origin, subject=invitation)
    return redemption


NAIVE: dict[str, Callable[[], None]] = {
    naive.__name__: naive
    for naive in (
        tries_counted_afterwards,
        misses_not_reserved,
        tries_in_memory,
        uses_read_then_written,
        revocation_read_once,
        return_read_once,
        submits_side_by_side,
        chain_end_read_first,
        owner_read_then_written,
        email_read_then_written,
        owners_counted_first,
        issuer_looked_at_first,
        password_read_once,
        guesses_counted_afterwards,
        revocation_looked_up_first,
        step_read_then_written,
        code_read_then_used,
        address_asked_for_last,
        mails_not_leased,
        room_looked_for_first,
        device_looked_for_first,
        refresh_token_read_then_used,
        invited_looked_for_first,
        transactions_begin_by_reading,
    )
}
NAIVE[os.environ["UNGUARDED"]]()

from wsgi import app  # noqa: E402, F401 - the same app that gunicorn.conf.py knows
