"""The QR code in a mail, square by square what segno draws."""

import struct
import zlib

import pytest
import segno

from portal.mail.qr import QUIET, SCALE, qr_png


def squares(png: bytes) -> list[list[int]]:
    """The squares of a picture of ours, without the quiet zone; 1 is dark."""
    width, height = struct.unpack(">II", png[16:24])
    start = png.index(b"IDAT")
    (length,) = struct.unpack(">I", png[start - 4 : start])
    content = zlib.decompress(png[start + 4 : start + 4 + length])
    stride = 1 + -(-width // 8)
    rows = [content[number * stride + 1 : (number + 1) * stride] for number in range(height)]
    pixels = [[(row[x // 8] >> (7 - x % 8)) & 1 for x in range(width)] for row in rows]
    middle = range(QUIET * SCALE + SCALE // 2, width - QUIET * SCALE, SCALE)
    return [[1 - pixels[y][x] for x in middle] for y in middle]


@pytest.mark.parametrize("link", ["https://a.org/?code=K7QM-4TXB-9RWD", "https://" + "x" * 200])
def test_a_picture_holds_the_squares_of_its_link(link: str) -> None:
    drawn = segno.make(link, error="m", micro=False, boost_error=False, mask=0)
    assert squares(qr_png(link)) == [list(row) for row in drawn.matrix]
