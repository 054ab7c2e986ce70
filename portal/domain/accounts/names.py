"""The names people go by: usernames, and what two ways of writing one name have in common."""

import re
import secrets
import unicodedata

from portal.domain.accounts import emails
from portal.domain.errors import BadInput

LONGEST_USERNAME = 32

_USERNAME = re.compile(r"[^\W_](?:[\w.-]{0,30}\w)?")


def username(text: str) -> str:
    """The username that was meant, in Unicode NFKC; raises `BadInput`."""
    chosen = unicodedata.normalize("NFKC", text[: emails.LONGEST].strip())
    # A few letters grow in lower case, and the key has its length too.
    if not _USERNAME.fullmatch(chosen) or len(key(chosen)) > LONGEST_USERNAME:
        raise BadInput("A username has up to 32 letters, digits, dots, dashes or underscores.")
    return chosen


def drawn_username() -> str:
    """A username for whoever chose none. It says nothing about them."""
    return f"member-{secrets.token_hex(5)}"


def key(name: str) -> str:
    """An e-mail or a username as it is compared.

    Cut first, for normalising takes the square of the length; Postgres refuses to look for NUL.
    """
    shortened = name[: emails.LONGEST].replace("\0", "\N{REPLACEMENT CHARACTER}").strip()
    compared = emails.canonical(shortened) if "@" in shortened else emails.folded(shortened)
    return compared.strip()[: emails.LONGEST].strip()
