"""What people say about themselves."""

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
    """Names, telephone number, and the language mails are written in; "" is no answer."""

    first_name: str = ""
    last_name: str = ""
    phone: str = ""
    language: str = ""

    def write_to(self, account: Account) -> None:
        """Put it into the account, in stored form. Raises `BadInput`, `InvalidPhone`."""
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
    """Replace what an account says about its person.

    Raises `BadInput`, `InvalidPhone`, `AccountTaken` (of the username).
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
    """One line, without control characters: names stand in the headers of mails."""
    name = text.strip()
    if len(name) > LONGEST_NAME or any(category(character) == "Cc" for character in name):
        raise BadInput("A name is one line of up to 80 letters.")
    return name
