"""Phone numbers, in the one form the portal stores (E.164)."""

from portal.domain.errors import InvalidPhone

HOME = "ID"  # clients of the former services send national numbers
LONGEST_INPUT = 40


def normalise(text: str) -> str:
    """The number as `+6281234567890`; raises `InvalidPhone`.

    Whether it is assigned is not checked: numbering plans change faster than libraries.
    """
    import phonenumbers  # noqa: PLC0415 - long to load, and few accounts have a number

    try:
        number = phonenumbers.parse(text[: LONGEST_INPUT + 1], HOME)
    except phonenumbers.NumberParseException as error:
        raise InvalidPhone from error
    is_possible = len(text) <= LONGEST_INPUT and phonenumbers.is_possible_number(number)
    if not is_possible or number.extension:
        raise InvalidPhone
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def spaced(number: str) -> str:
    """A stored number formatted for people: `+62 812-3456-7890`."""
    import phonenumbers  # noqa: PLC0415 - see `normalise`

    return phonenumbers.format_number(
        phonenumbers.parse(number, HOME), phonenumbers.PhoneNumberFormat.INTERNATIONAL
    )
