"""Decodes a picture into squares in two sizes. Runs in a child process."""

import json
import struct
from base64 import b64encode
from io import BytesIO
from typing import IO

from PIL import Image, ImageOps

from portal.domain.accounts.picture_structure import SIZES
from portal.domain.errors import PictureRefused

FORMATS = ("PNG", "JPEG", "WEBP")

Image.MAX_IMAGE_PIXELS = None  # `picture_structure` has rejected larger ones
# What Pillow raises for broken pictures and for bytes that are no picture.
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError, KeyError)


def decode(source: IO[bytes], target: IO[bytes]) -> None:
    """Write each size as base64 WebP into a JSON object. Raises `PictureRefused`."""
    try:
        with Image.open(source, formats=FORMATS) as picture:
            squares = _squares(picture)
    except _UNREADABLE as error:
        raise PictureRefused from error
    encoded = {size: b64encode(_encoded(square)).decode() for size, square in squares.items()}
    target.write(json.dumps(encoded).encode())


def _squares(picture: Image.Image) -> dict[int, Image.Image]:
    largest = SIZES[0]
    picture.draft("RGB", (largest, largest))  # decodes a JPEG at a fraction of its size
    colours = "RGBA" if picture.has_transparency_data else "RGB"
    if picture.mode == "I;16":  # 16-bit grey: Pillow would clip everything above 255 to white
        picture = picture.point(lambda value: value / 257).convert("L")
    if picture.mode in {"1", "P", "PA"}:  # these do not shrink well
        picture = picture.convert(colours)
    square = ImageOps.fit(picture, (largest, largest))
    square = ImageOps.exif_transpose(square).convert(colours)
    square.info.clear()  # or location, time and colour profile would be saved
    return {size: square if size == largest else square.resize((size, size)) for size in SIZES}


def _encoded(square: Image.Image) -> bytes:
    buffer = BytesIO()
    square.save(buffer, "WEBP", quality=82)
    return buffer.getvalue()
