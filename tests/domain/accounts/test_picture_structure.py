"""Pictures that cost a decoder more than their bytes suggest: refused before there is a decoder."""

import struct
import zlib
from contextlib import suppress

import pytest

from portal.domain.accounts.picture_structure import examined
from portal.domain.errors import PictureRefused
from tests.pictures import huge_png, moving, picture, png, png_chunks, progressive_bomb

COMPLICATED = "too complicated"
MEGABYTE = 1024 * 1024


def why(content: bytes) -> str:
    """With which words it is refused."""
    with pytest.raises(PictureRefused) as refusal:
        examined(content)
    return str(refusal.value)


def with_chunk(kind: bytes, content: bytes, times: int = 1) -> bytes:
    """A PNG with these after its header."""
    header, *others = png_chunks(picture())
    return png(header, *[(kind, content)] * times, *others)


def with_segment(marker: int, content: bytes, times: int = 1) -> bytes:
    """A JPEG with these after its first marker."""
    segment = struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
    jpeg = picture("JPEG")
    return jpeg[:2] + segment * times + jpeg[2:]


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP of these chunks."""
    body = b"WEBP" + b"".join(
        struct.pack("<4sI", kind, len(content)) + content + b"\0" * (len(content) % 2)
        for kind, content in chunks
    )
    return struct.pack("<4sI", b"RIFF", len(body)) + body


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"lossless": True}], ids=str)
def test_what_cameras_and_programs_write_is_let_through(
    form: str, options: dict[str, bool]
) -> None:
    content = picture(form, **options)
    assert examined(content) == content


# case 83
def test_a_jpeg_of_thousands_of_scans_is_refused() -> None:
    bomb = progressive_bomb(6900)

    assert len(bomb) < MEGABYTE
    assert COMPLICATED in why(bomb)


# case 83
@pytest.mark.parametrize(
    ("scans", "size"), [(101, (8, 8)), (100, (2100, 2000)), (21, (5000, 4000))], ids=str
)
def test_many_scans_of_many_pixels_are_refused(scans: int, size: tuple[int, int]) -> None:
    assert COMPLICATED in why(progressive_bomb(scans, size))


@pytest.mark.parametrize(("scans", "size"), [(100, (8, 8)), (20, (5000, 4000))], ids=str)
def test_some_scans_are_taken(scans: int, size: tuple[int, int]) -> None:
    assert examined(progressive_bomb(scans, size))


def test_scans_that_hide_in_metadata_are_not_counted_and_those_behind_garbage_are() -> None:
    assert examined(with_segment(0xE1, b"\xff\xda\0\x08" * 200))

    bomb = progressive_bomb(300, (8, 8)).replace(b"\xff\xda", b"garbage\xff\xff\xff\xda")
    assert COMPLICATED in why(bomb)


# case 83
@pytest.mark.parametrize("marker", [0xE1, 0xFE, 0xC4])
def test_a_jpeg_of_thousands_of_segments_is_refused(marker: int) -> None:
    assert COMPLICATED in why(with_segment(marker, b"", times=1100))


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC9, 0xCA, 0xCC, 0xDC, 0x01, 0x02, 0xF0])
def test_arithmetic_coding_and_what_no_camera_writes_is_refused(marker: int) -> None:
    assert why(with_segment(marker, b"\0" * 20)) == PictureRefused.message


def test_a_jpeg_has_one_size() -> None:
    jpeg = picture("JPEG")
    frame = jpeg[jpeg.index(b"\xff\xc0") :][:19]
    assert why(jpeg[:2] + frame + jpeg[2:]) == PictureRefused.message
    assert why(b"\xff\xd8\xff\xd9") == PictureRefused.message


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
@pytest.mark.parametrize(("width", "height"), [(5001, 4000), (16_000, 16_000)])
def test_a_header_that_promises_too_many_pixels_is_refused(
    form: str, width: int, height: int
) -> None:
    content = bytearray(picture(form))
    if form == "JPEG":
        struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, height, width)
    else:
        struct.pack_into("<HH", content, 26, width, height)
    assert "20 megapixels" in why(bytes(content))


# cases 50 and 83
@pytest.mark.parametrize("side", [4473, 50_000, 2**31 - 1])
def test_a_huge_png_is_refused(side: int) -> None:
    assert "20 megapixels" in why(huge_png(side))


# case 83
@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP", b"tEXt", b"prVt"])
def test_no_decoder_sees_chunks_that_are_no_pixels(kind: bytes) -> None:
    bomb = b"name\0\0" + zlib.compress(b"\0" * 50 * MEGABYTE)

    assert examined(with_chunk(kind, bomb)) == examined(picture())


# case 83
def test_a_png_of_many_thousands_of_chunks_is_refused() -> None:
    assert COMPLICATED in why(with_chunk(b"tEXt", b"", times=10_000))


@pytest.mark.parametrize("kind", [b"acTL", b"fcTL", b"fdAT"])
def test_frames_of_a_png_are_refused(kind: bytes) -> None:
    assert "moves" in why(with_chunk(kind, b"\0" * 26))


def test_a_png_begins_with_its_one_header() -> None:
    chunks = png_chunks(picture())
    for wrong in (chunks[1:], [*chunks[:1], *chunks], [*chunks[1:-1], chunks[0], chunks[-1]]):
        assert why(png(*wrong)) == PictureRefused.message


def test_what_follows_the_end_is_left_out() -> None:
    assert examined(picture() + b"<script>" * 1000) == examined(picture())


# case 83
def test_frames_and_chunks_of_a_webp_are_refused() -> None:
    assert "moves" in why(moving("WEBP"))
    assert "moves" in why(webp((b"ANMF", b"\0" * 16)))
    assert COMPLICATED in why(webp(*[(b"EXIF", b"")] * 101))


def test_a_webp_has_one_image() -> None:
    image = (b"VP8L", picture("WEBP", lossless=True)[20:])
    assert examined(webp(image))
    for wrong in (webp(), webp(image, image), webp((b"VP8X", b"\0" * 10))):
        assert why(wrong) == PictureRefused.message


def test_a_canvas_is_as_large_as_it_says() -> None:
    canvas = b"\0" * 4 + (5000).to_bytes(3, "little") + (4000).to_bytes(3, "little")
    assert "20 megapixels" in why(webp((b"VP8X", canvas)))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_whatever_was_cut_off_is_refused_or_left_to_the_decoder(form: str) -> None:
    content = picture(form)
    for length in range(min(len(content), 300)):
        with suppress(PictureRefused):
            examined(content[:length])
