"""Checks the structure of a picture file without decoding it: format, size, decoding work.

Whatever costs a decoder more than its bytes suggest is rejected: too many scans of a progressive
JPEG (each covers all pixels), frames, arithmetic coding, compressed metadata. PNG: RFC 2083; JPEG:
ITU-T T.81, annex B; WebP: RFC 9649.
"""

import re
import struct
from collections.abc import Iterator

from portal.domain.errors import PictureRefused

SIZES = (512, 96)  # pixels: the sides of the squares kept
LARGEST_PICTURE = 20_000_000  # pixels
MOST_SCANS = 100  # encoders write ten
MOST_SCANNED = 400_000_000  # pixels, over all scans of a file
MOST_SEGMENTS = 1_000  # of a JPEG: tables, and metadata in 64 kB pieces
MOST_CHUNKS = 10_000  # of a PNG: pixels come in pieces of 8 kB or less
MOST_PARTS = 100  # of a WebP

PNG, JPEG, RIFF, WEBP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"RIFF", b"WEBP"
# The chunks that decide how the pixels look. Others may be decompression bombs.
PNG_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"}
PNG_FRAMES = {b"acTL", b"fcTL", b"fdAT"}
WEBP_FRAMES = {b"ANIM", b"ANMF"}

# A marker; other bytes (and RST markers) between segments and within scans are skipped.
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_END, _SCAN = 0xD9, 0xDA
_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive: Huffman coding only
_TABLES = {0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)}


def examined(content: bytes) -> bytes:
    """The bytes a decoder needs, if the picture is safe to decode. Raises `PictureRefused`."""
    try:
        if content.startswith(PNG):
            return _examined_png(content)
        if content.startswith(JPEG):
            _examine_jpeg(content)
            return content
        if content.startswith(RIFF) and content[8:12] == WEBP:
            _examine_webp(content)
            return content
    except (struct.error, IndexError) as error:  # truncated
        raise PictureRefused from error
    raise PictureRefused


def _require_size(width: int, height: int) -> None:
    if not width or not height:
        raise PictureRefused
    if width * height > LARGEST_PICTURE:
        raise PictureRefused("A picture has at most 20 megapixels. Send a smaller one.")


def _too_complicated() -> PictureRefused:
    return PictureRefused("This picture is built in too complicated a way. Save it again as PNG.")


def _moving() -> PictureRefused:
    return PictureRefused("A picture that moves cannot be used. Send a still one.")


def _examined_png(content: bytes) -> bytes:
    kept = [PNG]
    for count, (kind, start, end) in enumerate(_png_chunks(content)):
        if count == MOST_CHUNKS:
            raise _too_complicated()
        if (count == 0) != (kind == b"IHDR"):
            raise PictureRefused
        if kind == b"IHDR":
            _require_size(*struct.unpack_from(">II", content, start + 8))
        if kind in PNG_FRAMES:
            raise _moving()
        if kind in PNG_KEPT:
            kept.append(content[start:end])
    return b"".join(kept)


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk's kind, start and end, up to IEND."""
    kind, start = b"", len(PNG)
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", content, start)
        end = start + length + 12  # length, kind and checksum take 12 bytes
        if end > len(content):
            raise PictureRefused
        yield kind, start, end
        start = end


def _examine_jpeg(content: bytes) -> None:
    scans, sizes, pixels = 0, 0, 0
    for count, (marker, start) in enumerate(_jpeg_segments(content)):
        if marker == _SCAN:
            scans += 1
        elif marker in _FRAMES:
            sizes += 1
            height, width = struct.unpack_from(">HH", content, start + 5)
            _require_size(width, height)
            pixels = width * height
        elif marker not in _TABLES:  # arithmetic coding, lossless, or unknown to cameras
            raise PictureRefused
        if scans > MOST_SCANS or scans * pixels > MOST_SCANNED or count > MOST_SEGMENTS:
            raise _too_complicated()
    if sizes != 1:
        raise PictureRefused


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Each segment's marker and start, up to the end of the image."""
    position = len(JPEG)
    while found := _MARKER.search(content, position):
        marker, start = found[1][0], found.start()
        if marker == _END:
            return
        yield marker, start
        position = start + 2 + struct.unpack_from(">H", content, start + 2)[0]


def _examine_webp(content: bytes) -> None:
    images = 0
    for count, (kind, start) in enumerate(_webp_chunks(content)):
        if count == MOST_PARTS:
            raise _too_complicated()
        if kind in WEBP_FRAMES:
            raise _moving()
        if kind in _WEBP_SIZES:
            images += kind != b"VP8X"
            _require_size(*_WEBP_SIZES[kind](content, start + 8))
    if images != 1:
        raise PictureRefused


def _webp_chunks(content: bytes) -> Iterator[tuple[bytes, int]]:
    """Each chunk's kind and start, up to the end of the RIFF."""
    end = min(len(content), 8 + struct.unpack_from("<I", content, 4)[0])
    start = 12
    while start + 8 <= end:
        kind, length = struct.unpack_from("<4sI", content, start)
        yield kind, start
        start += 8 + length + length % 2


def _canvas(content: bytes, start: int) -> tuple[int, int]:
    low, wide, high, tall = struct.unpack_from("<HBHB", content, start + 4)
    return (low | wide << 16) + 1, (high | tall << 16) + 1


def _lossy(content: bytes, start: int) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", content, start + 6)
    return width & 0x3FFF, height & 0x3FFF


def _lossless(content: bytes, start: int) -> tuple[int, int]:
    (bits,) = struct.unpack_from("<I", content, start + 1)
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


_WEBP_SIZES = {b"VP8X": _canvas, b"VP8 ": _lossy, b"VP8L": _lossless}
