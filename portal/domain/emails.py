"""E-mail addresses, in the one form the portal stores and compares."""

from email_validator import EmailNotValidError, validate_email

from portal.domain.errors import InvalidEmail

LONGEST = 254  # RFC 5321


def normalise(text: str) -> str:
    """The address in lower case, its domain in Unicode NFC; raises `InvalidEmail`."""
    if len(text) > LONGEST:  # before the validator, whose work grows with the square of it
        raise InvalidEmail
    try:
        return validate_email(text.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise InvalidEmail from error


def normalise_recipient(text: str) -> str:
    """An address, or all of a domain written `@example.org`; raises `InvalidEmail`."""
    text = text.strip()
    if text.startswith("@"):
        return "@" + normalise("anyone" + text).partition("@")[2]
    return normalise(text)
