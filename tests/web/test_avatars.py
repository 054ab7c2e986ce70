"""Pictures on the pages: sent, shown, removed."""

import re
from collections.abc import Callable
from io import BytesIO
from threading import BoundedSemaphore

import pytest
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from portal.domain import sandbox
from portal.domain.accounts import avatars
from portal.domain.lockout import upload_limits
from portal.models import Role
from tests.pages import Page, PageClient, words
from tests.pictures import huge_png, picture, progressive_bomb

PICTURE = "/account/picture"


def send(browser: PageClient, content: bytes, name: str = "me.png") -> TestResponse:
    """Send a picture by the form."""
    file = FileStorage(BytesIO(content), name)
    # Encoded here, for the client would leave a file open behind a large body.
    boundary, body = encode_multipart({"csrf_token": browser.token(), "picture": file})
    return browser.post(
        PICTURE, data=body, content_type=f"multipart/form-data; boundary={boundary}"
    )


def shown(browser: PageClient) -> str:
    """Where one's picture is."""
    found = re.search(r'src="(/avatars/[^"]+)"', browser.get(PICTURE).text)
    return found.group(1) if found else ""


def test_a_picture_is_sent_shown_and_removed(mia: PageClient) -> None:
    assert "You have none yet." in mia.page(PICTURE).words

    answer = send(mia, picture())

    assert (answer.status_code, answer.location) == (303, PICTURE)
    url = shown(mia)
    assert mia.get(url).status_code == 200
    assert mia.submit(f"{PICTURE}/removal").status_code == 303
    assert "You have none yet." in mia.page(PICTURE).words
    assert mia.get(url).status_code == 404


def test_a_picture_is_cached_for_ever_and_is_nothing_but_a_picture(
    mia: PageClient, client: PageClient
) -> None:  # case 52
    send(mia, picture("JPEG") + b"<script>alert(1)</script>", name="me.html")

    answer = client.get(shown(mia))

    assert answer.content_type == "image/webp"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Set-Cookie" not in answer.headers
    assert b"script" not in answer.data


def test_another_picture_has_another_address(mia: PageClient) -> None:
    send(mia, picture(mode="RGB"))
    before = shown(mia)
    send(mia, picture(mode="RGBA"))
    assert shown(mia) != before


@pytest.mark.parametrize(
    "url", ["/avatars/" + "0" * 64 + "/96", "/avatars/short/96", "/avatars/" + "0" * 64 + "/-1"]
)
def test_a_picture_that_is_not_there_is_not_kept_in_any_cache(client: PageClient, url: str) -> None:
    answer = client.get(url)
    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "a\0.png", "x" * 300, "<script>.svg", "CON", "🙂.png"]
)
def test_the_name_of_a_file_means_nothing(mia: PageClient, name: str) -> None:  # case 51
    assert send(mia, picture(), name).status_code == 303


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture the portal can read"),
        (huge_png(50_000), "at most 20 megapixels"),
        (picture() + b"\0" * 5 * 1024 * 1024, "at most 5 MB"),
    ],
    ids=["SVG", "bomb", "large"],
)
def test_what_will_not_do_is_said_in_a_sentence(
    mia: PageClient, content: bytes, sentence: str
) -> None:  # cases 49 and 50
    answer = send(mia, content)
    assert answer.status_code == 422
    assert sentence in words(answer)


# case 83
def test_a_picture_of_thousands_of_scans_never_reaches_a_decoder(
    mia: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "decode", None)

    answer = send(mia, progressive_bomb(6900))

    assert answer.status_code == 422
    assert "too complicated" in words(answer)


# case 83
def test_a_picture_that_takes_too_long_is_refused(
    mia: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(avatars, "LIMITS", avatars.LIMITS._replace(memory=1))

    answer = send(mia, picture())

    assert answer.status_code == 422
    assert "This picture takes too long to read." in words(answer)


# case 83
def test_while_all_decoders_are_busy_nobody_waits(
    mia: PageClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_places", BoundedSemaphore(1))

    with sandbox._places:
        answer = send(mia, picture())

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "Please try again in a moment." in words(answer)
    assert send(mia, picture()).status_code == 303


# case 83
def test_one_account_sends_thirty_pictures_an_hour(
    mia: PageClient, sign_in: Callable[[Role, str], PageClient]
) -> None:
    for _ in range(upload_limits.PICTURES.amount):
        assert send(mia, b"no picture").status_code == 422

    answer = send(mia, picture())

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3600")
    assert "You have sent too many files." in words(answer)
    assert send(sign_in(Role.MEMBER, "max"), picture()).status_code == 303


def test_no_file_at_all_is_said_so(mia: PageClient) -> None:
    answer = mia.submit(PICTURE, {})
    assert answer.status_code == 422
    assert "Choose a picture." in words(answer)


def test_a_body_far_too_large_is_not_read(mia: PageClient) -> None:  # case 68
    assert send(mia, b"\0" * 7 * 1024 * 1024).status_code == 413


def test_only_where_a_file_is_expected_a_body_may_be_large(mia: PageClient) -> None:  # case 68
    large = {"identity": "x" * 2 * 1024 * 1024}
    assert mia.submit("/login", large).status_code == 413


def test_a_picture_stands_beside_nobody_elses_name(
    sign_in: Callable[[Role, str], PageClient], mia: PageClient
) -> None:
    send(mia, picture())
    assert shown(sign_in(Role.MEMBER, "max")) == ""
    assert Page(mia.get(PICTURE).text).problems == []
