"""Codes: their form, what is forgiven in typing them, and how they are kept."""

from collections.abc import Iterator
from itertools import combinations
from uuid import uuid4

import pytest
from cryptography.exceptions import InvalidTag
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from portal import create_app
from portal.domain.errors import CodeIncomplete, CodeMistyped, UnsuitableCode
from portal.domain.invitations import codes
from tests.conftest import SECRET, make_settings

NEW_SECRET = "the secret that replaced the one of the tests"
BODIES = st.text(codes.ALPHABET, min_size=codes.LENGTH - 1, max_size=codes.LENGTH - 1)
LOOKALIKES = {"0": "0Oo", "1": "1IiLl"}
SEPARATORS = ["", " ", "-", "–", "--", "\t", "\u00a0", "\u200b", "\n", "\uff0d"]


def portal(secret: str, *fallbacks: str) -> Flask:
    """A portal of these secrets; codes need nothing else of it."""
    return create_app(
        make_settings("sqlite:///:memory:", secret_key=secret, secret_key_fallbacks=fallbacks)
    )


@pytest.fixture
def secret_in_use() -> Iterator[None]:
    """The context of a portal with the secret of the tests."""
    with portal(SECRET).app_context():
        yield


def complete(body: str) -> str:
    """The code that begins with `body`."""
    return body + codes.check_symbol(body)


def full_width(symbol: str) -> str:
    """The symbol as a Japanese keyboard may send it."""
    return chr(ord(symbol) + 0xFEE0)


@st.composite
def typed(draw: st.DrawFn) -> tuple[str, str]:
    """A code, and one of the many ways in which people type it."""
    code = complete(draw(BODIES))
    keystrokes = []
    for symbol in code:
        alike = draw(st.sampled_from(LOOKALIKES.get(symbol, symbol + symbol.lower())))
        shown = draw(st.sampled_from([alike, full_width(alike)]))
        keystrokes.append(shown + draw(st.sampled_from(SEPARATORS)))
    return code, "".join(keystrokes)


@given(BODIES)
def test_every_single_wrong_character_is_noticed(body: str) -> None:
    code = complete(body)
    for place in range(codes.LENGTH):
        for wrong in set(codes.ALPHABET) - {code[place]}:
            with pytest.raises(CodeMistyped):
                codes.require_complete(code[:place] + wrong + code[place + 1 :])


@given(BODIES)
def test_every_swap_of_two_characters_is_noticed(body: str) -> None:
    code = complete(body)
    for one, other in combinations(range(codes.LENGTH), 2):
        if code[one] != code[other]:
            swapped = list(code)
            swapped[one], swapped[other] = code[other], code[one]
            with pytest.raises(CodeMistyped):
                codes.require_complete("".join(swapped))


@given(BODIES)
def test_a_code_typed_right_is_complete(body: str) -> None:
    codes.require_complete(complete(body))


@given(typed())
def test_one_code_typed_in_many_ways_is_one_code(way: tuple[str, str]) -> None:  # case 6
    code, text = way

    assert codes.canonical(text) == code


@given(st.text(max_size=codes.LONGEST_INPUT))
def test_the_canonical_form_has_no_case_and_no_gaps(text: str) -> None:
    form = codes.canonical(text)

    assert form == form.upper()
    assert not set(form) & set(" -OIL\t\n\u00a0\u200b")


def test_a_drawn_code_has_the_form_of_ours() -> None:
    drawn = {codes.draw() for _ in range(500)}

    assert len(drawn) == 500
    assert set("".join(drawn)) == set(codes.ALPHABET)
    for code in drawn:
        assert codes.has_our_form(code)
        assert codes.canonical(code) == code
        codes.require_complete(code)


@pytest.mark.parametrize("text", ["", "K7QM", "K7QM-4TXB-9RW", "K7QM-4TXB-9RWDA", "K7QM4TXB9RW!"])
def test_a_partial_code_is_incomplete_rather_than_wrong(text: str) -> None:  # case 1
    with pytest.raises(CodeIncomplete):
        codes.require_complete(text)


@pytest.mark.parametrize(
    "adversarial", ["A" * 100_000, "A\u0300\u0316" * 33_000, "\ufdfa" * 100_000, "-" * 100_000]
)
def test_a_huge_input_is_cut_off_before_any_work(adversarial: str) -> None:  # case 72
    code = codes.draw()

    assert codes.canonical(adversarial + code) == ""
    with pytest.raises(CodeIncomplete):
        codes.require_complete(adversarial + code)


def test_the_longest_input_that_is_looked_at_has_a_hundred_characters() -> None:
    code = codes.draw()

    assert codes.canonical(code.rjust(100, "-")) == code
    assert codes.canonical(code.rjust(101, "-")) == ""


def test_ours_is_read_in_groups_and_any_other_as_it_was_chosen() -> None:
    assert codes.grouped("K7QM4TXB9RWD") == "K7QM-4TXB-9RWD"
    assert codes.grouped("Garden Party") == "Garden Party"


def test_a_hint_is_the_last_four_characters() -> None:
    assert codes.hint("k7qm-4txb-9rwd") == "9RWD"


@pytest.mark.parametrize("code", ["garden", "Garden Party 2026", "добро-пожаловать", "x" * 32])
def test_a_code_of_ones_own_may_be_any_word(code: str) -> None:
    codes.require_suitable(code)


@pytest.mark.parametrize(
    "code", ["", "party", "p-a-r-t-y", "------", "x" * 33, " " * 30 + "abcdef"]
)
def test_a_code_of_ones_own_has_six_to_thirty_two_characters(code: str) -> None:
    with pytest.raises(UnsuitableCode):
        codes.require_suitable(code)


def test_a_code_of_ones_own_may_not_look_like_one_of_ours_with_a_typo() -> None:
    body = "GARDENPARTY"

    codes.require_suitable(complete(body))
    with pytest.raises(UnsuitableCode):
        codes.require_suitable(body + ("0" if codes.check_symbol(body) != "0" else "2"))


def test_a_word_is_guessable_and_a_drawn_code_is_not() -> None:
    assert codes.is_guessable("Welcome2026")
    assert not codes.is_guessable(codes.draw())


def test_a_seal_opens_only_for_its_own_row(secret_in_use: None) -> None:
    row = uuid4()
    sealed = codes.seal("K7QM4TXB9RWD", row)

    assert codes.unseal(sealed, row) == "K7QM4TXB9RWD"
    with pytest.raises(InvalidTag):
        codes.unseal(sealed, uuid4())


def test_a_seal_that_was_touched_does_not_open(secret_in_use: None) -> None:
    row = uuid4()
    sealed = codes.seal("K7QM4TXB9RWD", row)

    for place in range(len(sealed)):
        touched = bytearray(sealed)
        touched[place] ^= 1
        with pytest.raises(InvalidTag):
            codes.unseal(bytes(touched), row)


def test_two_seals_of_one_code_look_different(secret_in_use: None) -> None:
    row = uuid4()

    assert codes.seal("K7QM4TXB9RWD", row) != codes.seal("K7QM4TXB9RWD", row)


def test_neither_seal_nor_lookup_holds_the_code(secret_in_use: None) -> None:
    code = codes.draw()

    assert code.encode() not in codes.seal(code, uuid4()) + codes.lookup(code)


def test_a_code_sealed_under_a_replaced_secret_still_opens() -> None:
    row = uuid4()
    with portal(SECRET).app_context():
        sealed, lookup = codes.seal("K7QM4TXB9RWD", row), codes.lookup("K7QM4TXB9RWD")

    with portal(NEW_SECRET, SECRET).app_context():
        assert codes.unseal(sealed, row) == "K7QM4TXB9RWD"
        assert lookup in codes.lookups("k7qm-4txb-9rwd")
        assert codes.lookup("K7QM4TXB9RWD") != lookup


def test_a_code_sealed_under_a_forgotten_secret_is_lost() -> None:
    row = uuid4()
    with portal(SECRET).app_context():
        sealed, lookup = codes.seal("K7QM4TXB9RWD", row), codes.lookup("K7QM4TXB9RWD")

    with portal(NEW_SECRET).app_context():
        assert lookup not in codes.lookups("K7QM4TXB9RWD")
        with pytest.raises(InvalidTag):
            codes.unseal(sealed, row)
