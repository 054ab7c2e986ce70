"""Profile pictures, re-encoded as squares in two sizes; nothing else of the upload is kept.

A picture's URL is the digest of its content, so it never changes and may be cached for ever.
"""

import json
from base64 import b64decode
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from uuid import UUID

import sqlalchemy as sa

from portal.domain import sandbox
from portal.domain.accounts import picture_structure
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import NotFound, PictureRefused
from portal.domain.lockout import upload_limits
from portal.extensions import db
from portal.models import Account, Avatar

SIZES = picture_structure.SIZES  # pixels, a side
CONTENT_TYPE = "image/webp"
LARGEST_FILE = 5 * 1024 * 1024  # bytes
LIMITS = sandbox.Limits(memory=512 * 1024**2, processor=5, clock=15, file=0)


def store(account: Account, content: bytes, *, origin: Origin, now: datetime) -> str:
    """Set `content` (PNG, JPEG or WebP) as the account's picture; return its digest.

    Raises `PictureRefused` for any other format and for pictures that are too large or animated;
    `TooManyUploads`; `DecodersBusy`.
    """
    upload_limits.count(upload_limits.PICTURES, account.id, now=now)
    squares = _squares(content)
    digest = sha256(squares[SIZES[0]]).hexdigest()
    _show(account.id, digest)
    db.session.add_all(
        Avatar(account_id=account.id, size=size, digest=digest, content=square)
        for size, square in squares.items()
    )
    audit.record("avatar.stored", now=now, origin=origin, actor=account.id, subject=account.id)
    db.session.commit()
    return digest


def remove(account: Account, *, origin: Origin, now: datetime) -> None:
    """Delete the account's picture."""
    _show(account.id, None)
    audit.record("avatar.removed", now=now, origin=origin, actor=account.id, subject=account.id)
    db.session.commit()


def find(digest: str, size: int) -> bytes:
    """The picture, as WebP. Raises `NotFound`."""
    found = db.session.scalars(
        sa.select(Avatar.content).where(Avatar.digest == digest, Avatar.size == size)
    ).first()
    if found is None:
        raise NotFound
    return found


def _show(account: UUID, digest: str | None) -> None:
    """Replace the picture. Locking the account's row serialises parallel uploads."""
    db.session.execute(sa.update(Account).where(Account.id == account).values(avatar=digest))
    db.session.execute(sa.delete(Avatar).where(Avatar.account_id == account))


def _squares(content: bytes) -> dict[int, bytes]:
    if len(content) > LARGEST_FILE:
        raise PictureRefused("A picture has at most 5 MB. Send a smaller one.")
    picture = picture_structure.examined(content)
    try:
        lines = sandbox.decode("portal.domain.accounts.picture_decoder", BytesIO(picture), LIMITS)
        encoded = json.loads(b"".join(lines))
    except sandbox.DecoderRefused as refusal:
        raise PictureRefused(str(refusal)) from refusal
    except sandbox.DecoderStopped as stopped:
        raise PictureRefused(
            "This picture takes too long to read. Send a simpler one."
        ) from stopped
    return {size: b64decode(encoded[str(size)]) for size in SIZES}
