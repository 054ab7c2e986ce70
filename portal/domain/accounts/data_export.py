"""Data export: everything stored about a person, for that person to download."""

import json
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import sqlalchemy as sa

from portal.domain.accounts import avatars
from portal.domain.audit import audit, chain
from portal.domain.client import Origin
from portal.domain.invitations import issued_counter
from portal.extensions import db
from portal.models import (
    Account,
    ApiToken,
    AuditEvent,
    Avatar,
    Mail,
    Passkey,
    Redemption,
    Session,
)

ROWS, PICTURE = "my-data.json", "picture.webp"

_TABLES: dict[str, tuple[str, ...]] = {
    "account": (
        *("serial", "email", "username", "first_name", "last_name", "phone", "language", "role"),
        *("created_at", "confirmed_at", "email_proof", "invitations_issued"),
    ),
    "sessions": (
        *("surface", "dialect", "address", "client", "created_at", "last_seen_at"),
        *("expires_at", "revoked_at"),
    ),
    "invitations_redeemed": ("invitation_id", "at", "address", "client", "email"),
    "passkeys": ("name", "created_at", "last_used_at"),
    "api_tokens": (
        *("name", "scope", "created_at", "expires_at"),
        *("last_used_at", "last_address", "revoked_at"),
    ),
    "mails": ("kind", "recipient", "state", "created_at", "settled_at"),
    "events": ("at", "action", "address"),
}


def archive_of(account: Account, *, origin: Origin, now: datetime) -> bytes:
    """A ZIP with `export_of` as JSON and the picture, if there is one."""
    rows = export_of(account, origin=origin, now=now)
    files = {ROWS: json.dumps(rows, indent=2, ensure_ascii=False).encode()}
    if picture := _picture(account):
        files[PICTURE] = picture
    return _zipped(files, now)


def export_of(account: Account, *, origin: Origin, now: datetime) -> dict[str, Any]:
    """The account and all its rows as plain values (times in RFC 3339), keyed by kind of row.

    Left out are secrets, since neither codes nor digests say anything about a person, and what
    staff did to others, which can be millions of events.
    """
    chain.catch_up()
    questions: dict[str, sa.Select[Any]] = {
        "account": sa.select(Account).where(Account.id == account.id),
        "sessions": sa.select(Session).where(Session.account_id == account.id),
        "invitations_redeemed": sa.select(Redemption).where(Redemption.account_id == account.id),
        "passkeys": sa.select(Passkey).where(Passkey.account_id == account.id),
        "api_tokens": sa.select(ApiToken).where(ApiToken.account_id == account.id),
        "mails": sa.select(Mail).where(_mailed_to(account)),
        "events": sa.select(AuditEvent).where(AuditEvent.subject_id == account.id),
    }
    found = {
        kind: [_plain(row, _TABLES[kind]) for row in db.session.scalars(question)]
        for kind, question in questions.items()
    }
    found["account"][0]["invitations_issued"] = issued_counter.issued(account.id)
    audit.record("data.exported", now=now, origin=origin, actor=account.id, subject=account.id)
    db.session.commit()
    return found


def _mailed_to(account: Account) -> sa.ColumnElement[bool]:
    """Mail to the account's mailbox; if the e-mail is unproven, only mail about the account."""
    if account.email_is_proven:
        return Mail.recipient == account.email
    return Mail.about_id == account.id


def _picture(account: Account) -> bytes | None:
    """The largest size there is; the uploaded file is not kept."""
    largest = (Avatar.account_id == account.id, Avatar.size == avatars.SIZES[0])
    return db.session.scalar(sa.select(Avatar.content).where(*largest))


def _zipped(files: Mapping[str, bytes], now: datetime) -> bytes:
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(ZipInfo(name, now.timetuple()[:6]), content, ZIP_DEFLATED)
    return buffer.getvalue()


def _plain(row: object, columns: tuple[str, ...]) -> dict[str, Any]:
    return {column: _value(getattr(row, column)) for column in columns}


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return value if isinstance(value, (int, str)) or value is None else str(value)
