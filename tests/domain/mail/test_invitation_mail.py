"""The words of a mail: named fields in plain text, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from portal.domain.errors import BadInput
from portal.domain.mail import invitation_mail

VALUES = {
    "name": "Ana",
    "code": "K7QM-4TXB-9RWD",
    "link": "https://invite.example.org/?code=K7QM-4TXB-9RWD",
    "expires": "28 November 2026",
    "site": "The Library",
    "inviter": "olivia",
}


def test_each_field_is_filled_in() -> None:
    text = "{name}, {inviter} invites you to {site}: {code}, {link}, until {expires}."
    assert invitation_mail.fill(text, VALUES) == (
        "Ana, olivia invites you to The Library: K7QM-4TXB-9RWD,"
        " https://invite.example.org/?code=K7QM-4TXB-9RWD, until 28 November 2026."
    )


@pytest.mark.parametrize(  # case 55
    "text",
    [
        *("{{7*7}}", "{0.__class__}", "{name.__class__}", "{name!r}", "{name:>99999999}"),
        *("{}", "{0}", "{unknown}", "{Name}", "{ name }", "%(name)s", "$name", "{% raw %}"),
    ],
)
def test_what_is_no_field_stays_as_it_is(text: str) -> None:
    assert invitation_mail.fill(text, VALUES) == text


def test_a_value_that_looks_like_a_field_is_not_filled_in_again() -> None:
    assert invitation_mail.fill("Hello {name}", VALUES | {"name": "{code}"}) == "Hello {code}"


@given(some.text())
def test_any_text_can_be_filled_in(text: str) -> None:
    assert invitation_mail.fill(text, dict.fromkeys(VALUES, "")) is not None


def test_a_hint_names_what_looks_like_a_field_and_is_none() -> None:
    assert invitation_mail.unknown_fields("{name} {nmae} {nmae} {0.__class__}") == [
        "{nmae}",
        "{0.__class__}",
    ]


@pytest.mark.parametrize("subject", ["Hello\r\nBcc: all@example.org", "Hello\n", "a\0b", "x" * 201])
def test_a_subject_is_one_line(subject: str) -> None:  # case 54
    with pytest.raises(BadInput):
        invitation_mail.check(subject, "")


@pytest.mark.parametrize("message", ["a\0b", "a\x1b[2J", "x" * 5001])
def test_a_message_is_plain_text(message: str) -> None:
    with pytest.raises(BadInput):
        invitation_mail.check("", message)


def test_a_message_has_lines() -> None:
    invitation_mail.check("Hello", "Dear {name},\r\n\r\n\tcome.\n")


def test_a_line_break_within_a_value_does_not_reach_a_header() -> None:  # case 54
    assert invitation_mail.one_line("Ana\r\nBcc: all@example.org") == "Ana Bcc: all@example.org"
