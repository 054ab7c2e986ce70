"""Avatars: what is taken for a picture, and what of it is kept."""

from contextlib import suppress
from io import BytesIO

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from portal.domain.accounts import avatars, picture_decoder, picture_structure
from portal.domain.audit import audit
from portal.domain.errors import NotFound, PictureRefused
from portal.extensions import db
from portal.models import Account, Avatar
from tests import factories
from tests.domain.outcomes import refused, stored
from tests.factories import NOW, device
from tests.pictures import moving, opened, picture

pytestmark = pytest.mark.usefixtures("context")

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><script>alert(1)</script>"
ORIENTATION = 0x0112


@pytest.fixture
def olivia() -> Account:
    """Who sends the pictures."""
    return factories.owner()


def store(account: Account, content: bytes) -> str:
    """Send a picture."""
    return avatars.store(account, content, origin=device(), now=NOW)


def kept() -> int:
    """How many squares are in the database."""
    db.session.rollback()
    return db.session.scalars(sa.select(sa.func.count()).select_from(Avatar)).one()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("size", [(640, 480), (1, 1), (3000, 40)], ids=str)
def test_a_picture_becomes_squares_of_two_sizes(
    olivia: Account, form: str, size: tuple[int, int]
) -> None:
    digest = store(olivia, picture(form, size))

    assert stored(olivia).avatar == digest
    for side in (512, 96):
        square = opened(avatars.find(digest, side))
        assert (square.format, square.size) == ("WEBP", (side, side))
    assert audit.latest(1)[0].action == "avatar.stored"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_picture_of_any_colours_is_taken(olivia: Account, mode: str) -> None:
    assert store(olivia, picture(mode=mode))


def test_a_printers_picture_is_taken(olivia: Account) -> None:
    assert store(olivia, picture("JPEG", mode="CMYK"))


def test_the_picture_of_a_phone_held_upright_stands_upright(olivia: Account) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # the upper edge is at the right
    lying = Image.new("RGB", (800, 600), "red")
    lying.paste("blue", (0, 0, 800, 300))
    buffer = BytesIO()
    lying.save(buffer, "JPEG", exif=exif)

    square = opened(avatars.find(store(olivia, buffer.getvalue()), 512)).convert("RGB")

    left, right = square.getpixel((100, 256)), square.getpixel((400, 256))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert (left[0] > 200, right[2] > 200) == (True, True)


@pytest.mark.parametrize(("colour", "shown"), [(0, 0), (0x4000, 64), (0xC000, 191), (0xFFFF, 255)])
def test_grey_of_sixteen_bits_is_shown_as_bright_as_it_is(
    olivia: Account, colour: int, shown: int
) -> None:
    content = picture(mode="I;16", colour=colour)
    assert content[24] == 16  # bits, by the header

    grey = opened(avatars.find(store(olivia, content), 96)).convert("L")

    assert grey.getpixel((48, 48)) == pytest.approx(shown, abs=2)


def test_two_pictures_in_one_jpeg_are_a_still_picture(olivia: Account) -> None:
    assert store(olivia, moving("MPO"))


def test_a_second_picture_takes_the_place_of_the_first(olivia: Account) -> None:
    first = store(olivia, picture(mode="RGB"))
    second = store(olivia, picture(mode="RGBA"))

    assert first != second
    assert kept() == 2
    with refused(NotFound):
        avatars.find(first, 96)


def test_two_people_may_show_the_same_picture(olivia: Account) -> None:
    oscar = factories.owner(username="oscar")
    digest = store(olivia, picture())
    assert store(oscar, picture()) == digest

    avatars.remove(oscar, origin=device(), now=NOW)

    assert avatars.find(digest, 96)
    assert stored(oscar).avatar is None


def test_a_removed_picture_is_nowhere(olivia: Account) -> None:
    store(olivia, picture())

    avatars.remove(olivia, origin=device(), now=NOW)

    assert (stored(olivia).avatar, kept()) == (None, 0)
    assert audit.latest(1)[0].action == "avatar.removed"


def test_a_picture_goes_with_its_account(olivia: Account) -> None:
    store(olivia, picture())

    db.session.execute(sa.delete(Account))
    db.session.commit()

    assert kept() == 0


@pytest.mark.parametrize(
    "content",
    [b"", SVG, HTML, b"GIF89a", picture("GIF"), picture("BMP"), picture("TIFF"), picture()[:60]],
    ids=["nothing", "SVG", "HTML", "half a GIF", "GIF", "BMP", "TIFF", "half a PNG"],
)
def test_what_is_no_picture_of_ours_is_refused(olivia: Account, content: bytes) -> None:  # case 49
    with refused(PictureRefused) as refusal:
        store(olivia, content)

    assert str(refusal.value) == PictureRefused.message
    assert (stored(olivia).avatar, kept()) == (None, 0)


def test_of_a_picture_that_is_also_a_page_only_the_pixels_are_kept(olivia: Account) -> None:
    digest = store(olivia, picture("PNG") + HTML)  # case 49

    assert b"script" not in avatars.find(digest, 512) + avatars.find(digest, 96)


def test_where_a_picture_was_taken_is_not_kept(olivia: Account) -> None:
    exif = Image.Exif()
    exif[0x010E] = "at home"

    digest = store(olivia, picture("JPEG", exif=exif, comment=b"at home"))

    square = avatars.find(digest, 512)
    assert b"at home" not in square
    assert opened(square).getexif() == {}


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_a_picture_that_moves_is_refused(olivia: Account, form: str) -> None:  # case 50
    with refused(PictureRefused) as refusal:
        store(olivia, moving(form))

    assert "moves" in str(refusal.value)


def test_a_file_of_more_than_five_megabytes_is_not_even_looked_at(olivia: Account) -> None:
    with refused(PictureRefused) as refusal:
        store(olivia, picture() + b"\0" * avatars.LARGEST_FILE)

    assert "5 MB" in str(refusal.value)


@pytest.mark.parametrize(("width", "height"), [(5000, 4001), (20_000_001, 1)])
def test_more_than_twenty_megapixels_are_refused(olivia: Account, width: int, height: int) -> None:
    with refused(PictureRefused) as refusal:
        store(olivia, picture(size=(width, height), mode="1"))

    assert "20 megapixels" in str(refusal.value)


def test_twenty_megapixels_are_taken(olivia: Account) -> None:
    assert store(olivia, picture(size=(5000, 4000), mode="1"))


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of EXIF that was broken
@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(
    st.sampled_from(["PNG", "JPEG", "WEBP"]),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=20),
)
def test_a_broken_picture_is_refused_by_name(form: str, changes: list[tuple[int, int]]) -> None:
    content = bytearray(picture(form, (40, 30)))
    for place, value in changes:
        content[place % len(content)] = value

    with suppress(PictureRefused):
        picture_decoder.decode(BytesIO(picture_structure.examined(bytes(content))), BytesIO())
