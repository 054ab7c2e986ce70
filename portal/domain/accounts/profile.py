"""Profiles: name, phone number, language and username, as people give them."""

from dataclasses import dataclass
from datetime import datetime
from unicodedata import category

from sqlalchemy.exc import IntegrityError

from portal.config import settings
from portal.domain.accounts import names, phones
from portal.domain.audit import audit
from portal.domain.client import Origin
from portal.domain.errors import AccountTaken, BadInput
from portal.extensions import db
from portal.models import Account

LONGEST_NAME = 80
LANGUAGES = {"en": "English", "id": "Bahasa Indonesia"}


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Names, phone number, and the language of mails; "" means not given."""

    first_name: str = ""
    last_name: str = ""
    phone: str = ""
    language: str = ""

    def write_to(self, account: Account) -> None:
        """Copy it to the account, normalised. Raises `BadInput`, `InvalidPhone`."""
        first_name, last_name = _name(self.first_name), _name(self.last_name)
        phone = phones.normalise(self.phone) if self.phone.strip() else None
        language = self.language or settings.locale
        if language not in LANGUAGES:
            raise BadInput
        account.first_name, account.last_name = first_name, last_name
        account.phone, account.language = phone, language


def change(
    account: Account, profile: Profile, *, username: str, origin: Origin, now: datetime
) -> None:
    """Replace an account's profile and username.

    Raises `BadInput`, `InvalidPhone`, `AccountTaken` (for the username).
    """
    chosen = names.username(username)
    try:
        with db.session.begin_nested():
            profile.write_to(account)
            account.username, account.username_key = chosen, names.key(chosen)
    except IntegrityError as error:
        raise AccountTaken("Somebody else has this username.") from error
    audit.record("profile.changed", now=now, origin=origin, actor=account.id, subject=account.id)
    db.session.commit()


def _name(text: str) -> str:
    """One line without control characters, since names end up in mail headers."""
    name = text.strip()
    if len(name) > LONGEST_NAME or any(category(character) == "Cc" for character in name):
        raise BadInput("A name is one line of up to 80 letters.")
    return name
