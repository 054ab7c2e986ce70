"""E-mail addresses, in the one form the portal stores and compares.

That form is lower case and Unicode NFKC, with the domain in Unicode rather than IDNA (`xn--…`).
`normalise` (to store) and `canonical` (to look up) both return it.
"""

import unicodedata

from email_validator import EmailNotValidError, validate_email

from portal.domain.errors import InvalidEmail

LONGEST = 254  # RFC 5321
COMPATIBILITY = (
    "This address contains special forms of letters, such as ﬁ for fi. Type it with plain letters."
)


def normalise(text: str) -> str:
    """The address in canonical form; raises `InvalidEmail`.

    Compatibility characters before the @ are rejected: mail servers may or may not treat them as
    the plain ones. In a domain, the standard (UTS 46) says they are the same.
    """
    if len(text) > LONGEST:  # first, since the validator's work grows quadratically
        raise InvalidEmail
    try:
        address = validate_email(text.strip(), check_deliverability=False)
    except EmailNotValidError as error:
        raise InvalidEmail from error
    if not unicodedata.is_normalized("NFKC", address.local_part):
        raise InvalidEmail(COMPATIBILITY)
    return folded(address.normalized)


def normalise_recipient(text: str) -> str:
    """An address, or a whole domain written `@example.org`; raises `InvalidEmail`."""
    text = text.strip()
    if text.startswith("@"):
        return "@" + normalise("anyone" + text).partition("@")[2]
    return normalise(text)


def canonical(text: str) -> str:
    """The form in which to look an address up; text that is no address is only folded."""
    local, _, domain = folded(text).rpartition("@")
    try:
        found = validate_email(f"anyone@{domain}", check_deliverability=False)
    except EmailNotValidError:
        return folded(text)
    return f"{local}@{found.domain}"


def folded(text: str) -> str:
    """The text in NFKC and lower case, for comparison."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
