"""Telephone numbers, in the one form the portal stores (E.164)."""

from phonenumbers import (
    NumberParseException,
    PhoneNumberFormat,
    format_number,
    is_possible_number,
    parse,
)

from portal.domain.errors import InvalidPhone

HOME = "ID"  # the clients of the former services write national numbers
LONGEST_INPUT = 40


def normalise(text: str) -> str:
    """The number as `+6281234567890`; raises `InvalidPhone`.

    Whether it is in use is not asked: numbering plans change more often than libraries.
    """
    try:
        number = parse(text[: LONGEST_INPUT + 1], HOME)
    except NumberParseException as error:
        raise InvalidPhone from error
    if len(text) > LONGEST_INPUT or number.extension or not is_possible_number(number):
        raise InvalidPhone
    return format_number(number, PhoneNumberFormat.E164)


def spaced(number: str) -> str:
    """A stored number as people write it: `+62 812-3456-7890`."""
    return format_number(parse(number, HOME), PhoneNumberFormat.INTERNATIONAL)
