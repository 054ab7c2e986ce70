"""Mail actions of staff: resend, retry, pause and resume.

Each verb commits once. A mailbox is resent at most three mails an hour, however many invitations it
has and no matter who asks.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from portal.config import settings
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import (
    MailedOften,
    MailUnwanted,
    MailWaiting,
    NotAllowed,
    NotFound,
    NotMailable,
)
from portal.domain.invitations import permissions
from portal.domain.mail import account_mail, invitation_mail, outbox
from portal.domain.mail.account_mail import Notice
from portal.domain.mail.invitation_mail import Matter
from portal.extensions import db
from portal.models import (
    Account,
    Batch,
    Installation,
    Invitation,
    Mail,
    MailRefusal,
    MailState,
    Role,
    Status,
)

MOST_AN_HOUR = 3
HOUR = timedelta(hours=1)
OPEN = (Status.ACTIVE, Status.SCHEDULED)


def resend(invitation: Invitation, *, by: Account, origin: Origin, now: datetime) -> None:
    """Resend the mail of an invitation.

    Raises as `permissions.require_may_act` does, `NotMailable`, `MailUnwanted`, `MailWaiting`,
    `MailedOften`.
    """
    permissions.require_may_act(invitation, by=by)
    if not invitation.can_be_mailed or invitation.status(now) not in OPEN:
        raise NotMailable
    if db.session.get(MailRefusal, invitation.recipient):
        raise MailUnwanted
    take_turns()
    to = invitation.recipient or ""
    try:
        _require_room(invitation.id, to, now)
    except (MailWaiting, MailedOften):
        db.session.rollback()
        raise
    outbox.queue("invitation", to=to, about=invitation.id, now=now)
    audit.record("invitation.resent", now=now, origin=origin, actor=by.id, subject=invitation.id)
    db.session.commit()


def resend_batch(batch: Batch, *, by: Account, origin: Origin, now: datetime) -> int:
    """Resend a batch's mails to everyone who hasn't redeemed; return how many.

    Skips recipients who unsubscribed, have one waiting, or got three within the hour. Raises as
    `permissions.require_may_act` does.
    """
    permissions.require_may_act(batch, by=by)
    queued = _queue_again([Invitation.batch_id == batch.id], now)
    if queued:
        audit.record(
            "batch.resent",
            now=now,
            origin=origin,
            actor=by.id,
            subject=batch.id,
            invitations=len(queued),
        )
    db.session.commit()
    return len(queued)


def resend_chosen(ids: Collection[UUID], *, by: Account, origin: Origin, now: datetime) -> int:
    """Like `resend_batch`, for selected invitations.

    Raises `NotAllowed` if `by` may not act on all of them.
    """
    permissions.require_may_act_on_all(ids, by=by)
    queued = _queue_again([Invitation.id.in_(ids)], now)
    for about in queued:
        audit.record("invitation.resent", now=now, origin=origin, actor=by.id, subject=about)
    db.session.commit()
    return len(queued)


def pause(batch: Batch, *, by: Account, origin: Origin, now: datetime) -> None:
    """Pause a batch's mails, except those being sent.

    Raises as `permissions.require_may_act` does.
    """
    permissions.require_may_act(batch, by=by)
    _set_pause(batch, now)
    audit.record("batch.mail_paused", now=now, origin=origin, actor=by.id, subject=batch.id)
    db.session.commit()


def resume(batch: Batch, *, by: Account, origin: Origin, now: datetime) -> None:
    """Resume a batch's mails. Raises as `permissions.require_may_act` does."""
    permissions.require_may_act(batch, by=by)
    _set_pause(batch, None)
    audit.record("batch.mail_resumed", now=now, origin=origin, actor=by.id, subject=batch.id)
    db.session.commit()


def pause_all(*, by: Account, origin: Origin, now: datetime) -> None:
    """Pause the mails of all batches. Raises `NotAllowed`."""
    _require_owner(by)
    db.session.execute(sa.update(Installation).values(bulk_mail_paused_at=now))
    audit.record("mail.paused", now=now, origin=origin, actor=by.id)
    db.session.commit()


def resume_all(*, by: Account, origin: Origin, now: datetime) -> None:
    """Resume them, except for batches paused separately. Raises `NotAllowed`."""
    _require_owner(by)
    db.session.execute(sa.update(Installation).values(bulk_mail_paused_at=None))
    audit.record("mail.resumed", now=now, origin=origin, actor=by.id)
    db.session.commit()


def may_show(mail: Mail, *, by: Account) -> bool:
    """Whether `by` may read a mail's contents, above all its code.

    Codes that confirm an e-mail or a new password are shown only without a mail server, where there
    is no other way to get them.
    """
    is_delivered = bool(settings.mail_url.get_secret_value())
    return by.may(Role.OWNER) and not (mail.is_verification and is_delivered)


def show(mail: Mail, *, by: Account, origin: Origin, now: datetime) -> Matter | Notice:
    """A mail's contents with its code; audited. Raises `NotAllowed`, `NotFound`."""
    if not may_show(mail, by=by):
        raise NotAllowed
    matter = (invitation_mail.matters([mail]) | account_mail.notices([mail])).get(mail.id)
    if matter is None:
        raise NotFound
    if isinstance(matter, Matter):
        permissions.require_may_act(matter.invitation, by=by)
        action, subject = "invitation.code_shown", matter.invitation.id
    else:
        action, subject = "mail.code_shown", matter.about
    audit.record(action, now=now, origin=origin, actor=by.id, subject=subject, mail=str(mail.id))
    db.session.commit()
    return matter


def retry(mail: Mail, *, by: Account, now: datetime) -> None:
    """Requeue a failed mail with all attempts; any other stays. Raises `NotAllowed`."""
    _require_owner(by)
    outbox.retry(mail, now=now)


def retry_all(*, by: Account, now: datetime) -> int:
    """Requeue every failed mail; return how many. Raises `NotAllowed`."""
    _require_owner(by)
    return outbox.retry_all(now=now)


def retry_batch(batch: Batch, *, by: Account, now: datetime) -> int:
    """Requeue the failed mails of a batch; return how many.

    Raises as `permissions.require_may_act` does.
    """
    permissions.require_may_act(batch, by=by)
    return outbox.retry_all(now=now, batch=batch.id)


def paused_at() -> datetime | None:
    """Since when all batch mail is paused, if it is."""
    return db.session.scalar(sa.select(Installation.bulk_mail_paused_at))


def take_turns() -> None:
    """Serialise verbs that queue mails depending on what is already queued.

    Two at once would both see the last free place, and both take it.
    """
    db.session.execute(sa.update(Installation).values(id=Installation.id))


def _require_owner(by: Account) -> None:
    if not by.may(Role.OWNER):
        raise NotAllowed


def _set_pause(batch: Batch, moment: datetime | None) -> None:
    db.session.execute(sa.update(Batch).where(Batch.id == batch.id).values(paused_at=moment))


def _require_room(invitation: UUID, recipient: str, now: datetime) -> None:
    if db.session.scalar(sa.select(_waiting().where(Mail.about_id == invitation).exists())):
        raise MailWaiting
    if (db.session.scalar(_resent(recipient, now)) or 0) >= MOST_AN_HOUR:
        raise MailedOften


def _queue_again(which: list[sa.ColumnElement[bool]], now: datetime) -> list[UUID]:
    """Queue a mail for each of these that may get one; return their ids."""
    take_turns()
    found = db.session.execute(
        sa.select(Invitation.id, Invitation.recipient, Invitation.batch_id).where(
            *which,
            Invitation.recipient.not_like("@%"),
            Invitation.uses == 0,
            Invitation.status_at(now).in_(OPEN),
            ~sa.exists().where(MailRefusal.email == Invitation.recipient),
            ~_waiting().where(Mail.about_id == Invitation.id).exists(),
            _resent(Invitation.recipient, now).scalar_subquery() < MOST_AN_HOUR,
        )
    )
    # One per mailbox: it may hold several of these, all counted against the same limit.
    chosen = {to: outbox.Address(about, to, batch) for about, to, batch in found if to}
    outbox.queue_many("invitation", chosen.values(), now=now)
    return [address.about for address in chosen.values()]


def _waiting() -> sa.Select[Any]:
    return sa.select(Mail.id).where(Mail.state == MailState.WAITING, Mail.kind == "invitation")


def _resent(recipient: object, now: datetime) -> sa.Select[Any]:
    """How many mails were resent to this mailbox in the last hour.

    The first mail of an invitation shares its id and is not counted.
    """
    return (
        sa.select(sa.func.count())
        .select_from(Mail)
        .where(
            Mail.recipient == recipient,
            Mail.created_at > now - HOUR,
            Mail.kind == "invitation",
            Mail.id != Mail.about_id,
        )
    )
