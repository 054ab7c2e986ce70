"""Pictures of people: re-encoded to squares of two sizes; of what was sent nothing else is kept.

A picture is found by the digest of its content, so an address never shows another picture and may
be cached for ever.
"""

import struct
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from threading import BoundedSemaphore
from uuid import UUID

import sqlalchemy as sa
from PIL import Image, ImageOps

from portal.domain import audit
from portal.domain.errors import NotFound, PictureRefused
from portal.domain.origin import Origin
from portal.extensions import db
from portal.models import Account, Avatar

SIZES = (512, 96)  # pixels, a side
CONTENT_TYPE = "image/webp"
LARGEST_FILE = 5 * 1024 * 1024  # bytes
LARGEST_PICTURE = 20_000_000  # pixels
FORMATS = ("PNG", "JPEG", "WEBP")

# Pillow only warns of large pictures; `_open` refuses them, and sooner.
Image.MAX_IMAGE_PIXELS = None
# What Pillow's readers raise at bytes that are no picture, or a broken one.
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError, KeyError)
# A picture unpacks to 80 MB: one at a time, so that several senders cannot fill a small host.
_place = BoundedSemaphore(1)


def store(account: Account, content: bytes, *, origin: Origin, now: datetime) -> str:
    """Show `content` (a PNG, JPEG or WebP) as this account's picture; return its digest.

    Raises `PictureRefused` for anything else, and for what is too large or moves.
    """
    with _place:
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
    """Show no picture of this account any more, and keep none."""
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
    """Forget the picture before. The account's row makes parallel uploads wait for each other."""
    db.session.execute(sa.update(Account).where(Account.id == account).values(avatar=digest))
    db.session.execute(sa.delete(Avatar).where(Avatar.account_id == account))


def _squares(content: bytes) -> dict[int, bytes]:
    if len(content) > LARGEST_FILE:
        raise PictureRefused("A picture has at most 5 MB. Send a smaller one.")
    try:
        with _open(content) as picture:
            return _cut(picture)
    except _UNREADABLE as error:
        raise PictureRefused from error


def _open(content: bytes) -> Image.Image:
    """The picture by its header: nothing is unpacked yet."""
    picture = Image.open(BytesIO(content), formats=FORMATS)
    if picture.width * picture.height > LARGEST_PICTURE:
        raise PictureRefused("A picture has at most 20 megapixels. Send a smaller one.")
    # Phones add a second picture to a JPEG (MPO): that one does not move.
    if picture.format != "MPO" and getattr(picture, "is_animated", False):
        raise PictureRefused("A picture that moves cannot be used. Send a still one.")
    return picture


def _cut(picture: Image.Image) -> dict[int, bytes]:
    largest = SIZES[0]
    picture.draft("RGB", (largest, largest))  # a JPEG is then unpacked at a fraction of its size
    colours = "RGBA" if picture.has_transparency_data else "RGB"
    if picture.mode == "I;16":  # grey of 16 bits: Pillow would call all above 255 white
        picture = picture.point(lambda value: value / 257).convert("L")
    if picture.mode in {"1", "P", "PA"}:  # these cannot be shrunk well; others are converted small
        picture = picture.convert(colours)
    square = ImageOps.fit(picture, (largest, largest))
    square = ImageOps.exif_transpose(square).convert(colours)
    square.info.clear()  # places, times and colour profiles would be written along
    return {
        size: _encoded(square if size == largest else square.resize((size, size))) for size in SIZES
    }


def _encoded(square: Image.Image) -> bytes:
    buffer = BytesIO()
    square.save(buffer, "WEBP", quality=82)
    return buffer.getvalue()
