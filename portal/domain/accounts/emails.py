"""E-mail addresses, in the one form the portal stores and compares.

That form is lower case and Unicode NFKC, with the domain in Unicode letters, not in its IDNA form
(`xn--…`). What is stored and what is looked up go through `canonical`, so they cannot differ.
"""

import unicodedata

from email_validator import EmailNotValidError, validate_email

from portal.domain.errors import InvalidEmail

LONGEST = 254  # RFC 5321
COMPATIBILITY = (
    "This address contains special forms of letters, such as ﬁ for fi. Type it with plain letters."
)


def normalise(text: str) -> str:
    """The address in its canonical form; raises `InvalidEmail`.

    Compatibility characters before the @ are refused, for nobody knows whether a mail server would
    take them for the plain ones. In a domain they are those by the standard (UTS 46).
    """
    if len(text) > LONGEST:  # before the validator, whose work grows with the square of it
        raise InvalidEmail
    try:
        address = validate_email(text.strip(), check_deliverability=False)
    except EmailNotValidError as error:
        raise InvalidEmail from error
    if not unicodedata.is_normalized("NFKC", address.local_part):
        raise InvalidEmail(COMPATIBILITY)
    return folded(address.normalized)


def normalise_recipient(text: str) -> str:
    """An address, or all of a domain written `@example.org`; raises `InvalidEmail`."""
    text = text.strip()
    if text.startswith("@"):
        return "@" + normalise("anyone" + text).partition("@")[2]
    return normalise(text)


def canonical(text: str) -> str:
    """The form to look an address up by, whatever was typed: what is none is only folded."""
    local, _, domain = folded(text).rpartition("@")
    try:
        found = validate_email(f"anyone@{domain}", check_deliverability=False)
    except EmailNotValidError:
        return folded(text)
    return f"{local}@{found.domain}"


def folded(text: str) -> str:
    """Any text in NFKC and lower case, for comparing."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
