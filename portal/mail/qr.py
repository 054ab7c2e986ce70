"""QR codes of links as PNG, fast enough for thousands of mails in a row.

segno takes as long to draw a link as everything else a mail needs. But error correction is linear
and the mask is fixed (ISO/IEC 18004, 7.5 and 7.8), so each bit of a link flips the same squares
whatever the other bits are. We ask segno once which squares each bit flips, and compose pictures
from that with XOR.
"""

from functools import lru_cache, reduce
from operator import xor
from struct import pack
from zlib import compress, crc32

import segno

SCALE = 4  # pixels a square
QUIET = 4  # squares of quiet zone around it (ISO/IEC 18004)
BITS = [1 << place for place in range(8)]


def qr_png(link: str) -> bytes:
    """Draw `link` in black on white, one bit a pixel (https://www.w3.org/TR/png/)."""
    content = link.encode()
    version, width = _size(len(content))
    pixels = _drawn(bytes(len(content)), version)
    for place, byte in enumerate(content):
        pixels ^= _written(version, place, byte)
    header = pack(">IIBBBBB", width, width, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(name, part)
        for name, part in (
            (b"IHDR", header),
            (b"IDAT", compress(pixels.to_bytes(len(_line("1" * width)) * width))),
            (b"IEND", b""),
        )
    )


@lru_cache(maxsize=256)
def _size(length: int) -> tuple[int, int]:
    """The smallest version that holds `length` bytes, and its width in pixels."""
    code = _code(bytes(length), None)
    return int(code.version), (len(code.matrix) + 2 * QUIET) * SCALE


@lru_cache(maxsize=4096)
def _written(version: int, place: int, byte: int) -> int:
    """The pixels that this byte flips at that place, for any length of link, as a number."""
    return reduce(xor, (_turned_over(version, place, bit) for bit in BITS if byte & bit), 0)


@lru_cache(maxsize=1024)
def _turned_over(version: int, place: int, bit: int) -> int:
    zeros = bytes(place)
    return _drawn(zeros + bytes([bit]), version) ^ _drawn(zeros + b"\0", version)


@lru_cache(maxsize=256)
def _drawn(content: bytes, version: int) -> int:
    """All rows of the picture, as one number."""
    matrix = _code(content, version).matrix
    width = (len(matrix) + 2 * QUIET) * SCALE
    white = _line("1" * width)
    margin = white * (QUIET * SCALE)
    rows = b"".join(_line(_pixels(row).center(width, "1")) * SCALE for row in matrix)
    return int.from_bytes(margin + rows + margin)


def _code(content: bytes, version: int | None) -> segno.QRCode:
    return segno.make(
        content,
        version=version,
        mode="byte",
        error="m",
        mask=0,
        micro=False,
        boost_error=False,
    )


def _pixels(row: bytearray) -> str:
    dark = "".join("10"[square] for square in row)
    return dark.replace("0", "0" * SCALE).replace("1", "1" * SCALE)


def _line(pixels: str) -> bytes:
    """One unfiltered row of pixels; the last byte is padded with white."""
    length = -(-len(pixels) // 8)
    return b"\0" + int(pixels.ljust(length * 8, "1"), 2).to_bytes(length, "big")


def _chunk(name: bytes, content: bytes) -> bytes:
    return pack(">I", len(content)) + name + content + pack(">I", crc32(name + content))
