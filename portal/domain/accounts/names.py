"""Usernames, and the key by which usernames and e-mails are compared."""

import re
import secrets
import unicodedata

from portal.domain.accounts import emails
from portal.domain.errors import BadInput

LONGEST_USERNAME = 32

_USERNAME = re.compile(r"[^\W_](?:[\w.-]{0,30}\w)?")


def username(text: str) -> str:
    """A username in Unicode NFKC; raises `BadInput`."""
    chosen = unicodedata.normalize("NFKC", text[: emails.LONGEST].strip())
    # A few letters grow in lower case, so the key's length is checked too.
    if not _USERNAME.fullmatch(chosen) or len(key(chosen)) > LONGEST_USERNAME:
        raise BadInput("A username has up to 32 letters, digits, dots, dashes or underscores.")
    return chosen


def drawn_username() -> str:
    """A random username for people who chose none. It says nothing about them."""
    return f"member-{secrets.token_hex(5)}"


def key(name: str) -> str:
    """The form in which an e-mail or a username is compared.

    Cut first, because normalising is quadratic in the length; Postgres rejects NUL in a query.
    """
    shortened = name[: emails.LONGEST].replace("\0", "\N{REPLACEMENT CHARACTER}").strip()
    compared = emails.canonical(shortened) if "@" in shortened else emails.folded(shortened)
    return compared.strip()[: emails.LONGEST].strip()
