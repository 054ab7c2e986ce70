"""Pictures for the tests, made when they are asked for."""

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image

SCAN, TABLE, END = b"\xff\xda", b"\xff\xc4", b"\xff\xd9"  # markers of a JPEG


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
    return png((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1024)), (b"IEND", b""))


def progressive_bomb(scans: int, size: tuple[int, int] = (5000, 4000)) -> bytes:
    """A JPEG with so many scans; each costs a few bytes, and a walk through all pixels."""
    content = picture("JPEG", size, "L", 128, progressive=True)
    first, last = content.find(SCAN), content.rfind(TABLE)
    repeated = content[last : -len(END)]
    there = content.count(SCAN, first)
    return content[: -len(END)] + repeated * (scans - there) + END


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of these chunks."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def png_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG."""
    found, start = [], 8
    while start < len(content):
        length, kind = struct.unpack_from(">I4s", content, start)
        found.append((kind, content[start + 8 : start + 8 + length]))
        start += length + 12
    return found


def opened(content: bytes) -> Image.Image:
    """The picture as a browser sees it."""
    picture = Image.open(BytesIO(content))
    picture.load()
    return picture
