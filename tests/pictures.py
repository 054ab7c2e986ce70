"""Pictures for the tests, made when they are asked for."""

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image


def picture(
    form: str = "PNG",
    size: tuple[int, int] = (640, 480),
    mode: str = "RGB",
    colour: int = 0,
    **options: Any,
) -> bytes:
    """A picture of one colour in that format."""
    buffer = BytesIO()
    Image.new(mode, size, colour).save(buffer, form, **options)
    return buffer.getvalue()


def moving(form: str) -> bytes:
    """Two frames."""
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    buffer = BytesIO()
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def huge_png(side: int) -> bytes:
    """A PNG whose header promises `side` by `side` pixels, and which holds hardly any."""
    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1024)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    )


def opened(content: bytes) -> Image.Image:
    """The picture as a browser sees it."""
    picture = Image.open(BytesIO(content))
    picture.load()
    return picture
