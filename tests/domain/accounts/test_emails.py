"""E-mail addresses: one form of each, and none that could be two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.accounts import emails, names
from portal.domain.errors import InvalidEmail


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Bob@Example.ORG", "bob@example.org"),
        ("  bob@example.org\n", "bob@example.org"),
        ("bob@ｅｘａｍｐｌｅ.org", "bob@example.org"),
        ("bob@xn--bcher-kva.example", "bob@bücher.example"),
        ("Bob@BÜCHER.example", "bob@bücher.example"),
        ("jose\u0301@example.org", "jos\u00e9@example.org"),
    ],
)
def test_one_address_has_one_form(text: str, address: str) -> None:
    assert emails.normalise(text) == address


@pytest.mark.parametrize("text", ["ﬁ@example.org", "ＺＺ@example.org", "x²@example.org", "ﬀ@ﬀ.org"])
def test_compatibility_characters_before_the_at_sign_are_refused(text: str) -> None:  # case 95
    with pytest.raises(InvalidEmail, match="plain letters"):
        emails.normalise(text)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("BOB@example.org", "bob@example.org"),
        ("bob@xn--bcher-kva.example", "Bob@BÜCHER.example"),
        ("bob@XN--BCHER-KVA.example", "bob@bücher.example"),
        ("bob@BU\u0308CHER.example", "bob@bücher.example"),
        ("bob@bücher。example", "bob@bücher.example"),
        ("JOSE\u0301@example.org", "jos\u00e9@example.org"),
    ],
)
def test_what_is_looked_up_has_the_form_of_what_is_stored(
    typed: str, stored: str
) -> None:  # case 95
    assert names.key(typed) == emails.normalise(stored)


@given(st.emails() | st.text().map(lambda text: f"{text}@bücher.example"))
def test_an_address_that_is_stored_is_found(text: str) -> None:  # case 95
    try:
        address = emails.normalise(text)
    except InvalidEmail:
        return

    assert names.key(address) == address


@given(st.text(max_size=300))
def test_the_key_of_a_name_is_its_own_key(name: str) -> None:
    assert names.key(names.key(name)) == names.key(name)


@given(st.emails())
def test_the_form_of_an_address_is_its_own_form(text: str) -> None:
    try:
        address = emails.normalise(text)
    except InvalidEmail:  # a few of these are addresses by the standard only
        return

    assert emails.normalise(address) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bob",
        "bob@",
        "@example.org",
        "bob@localhost",
        "bob@[127.0.0.1]",
        "a@example.org,b@example.org",
        "a@example.org b@example.org",
        "bob@example.org\nBcc: carol@example.org",
        "bob\0@example.org",
        "Bob <bob@example.org>",
    ],
)
def test_what_is_not_one_address_is_refused(text: str) -> None:  # cases 42 and 54
    with pytest.raises(InvalidEmail):
        emails.normalise(text)


def test_a_huge_input_is_cut_off_before_any_work() -> None:  # case 72
    assert emails.normalise("bob@example.org".rjust(254)) == "bob@example.org"
    with pytest.raises(InvalidEmail):
        emails.normalise("bob@example.org".rjust(255))


@pytest.mark.parametrize(
    ("text", "recipient"),
    [
        ("Bob@Example.org", "bob@example.org"),
        ("@Example.org", "@example.org"),
        (" @mail.example.org ", "@mail.example.org"),
    ],
)
def test_a_recipient_is_an_address_or_all_of_a_domain(text: str, recipient: str) -> None:
    assert emails.normalise_recipient(text) == recipient


@pytest.mark.parametrize("text", ["@", "@@example.org", "@bob@example.org", "@org", "example.org"])
def test_what_is_neither_an_address_nor_a_domain_is_refused(text: str) -> None:
    with pytest.raises(InvalidEmail):
        emails.normalise_recipient(text)
